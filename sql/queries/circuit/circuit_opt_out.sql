-- circuit_opt_out: the recipients of the messages $1 do not want to be written to, says the provider,
-- in the words $2; $3 the time. Who opted out before keeps the reason of then.
insert into rowbell.opt_out (phone, since, reason, source)
select distinct m.recipient_phone, $3::timestamptz, $2, 'provider'::rowbell.opt_out_source
  from rowbell.message as m
 where m.message_id = any ($1)
   and m.recipient_phone is not null
    on conflict (phone) do nothing;
