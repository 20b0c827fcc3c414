-- circuit_opt_out: writes opt-outs that the provider reports for the recipients of messages.
--
-- Who opted out before keeps the reason of then.
--
-- $1 message_ids: the messages that were refused
-- $2 reason: what the provider says
-- $3 now: the time
insert into rowbell.opt_out (phone, since, reason, source)
select distinct m.recipient_phone, $3::timestamptz, $2, 'provider'::rowbell.opt_out_source
  from rowbell.message as m
 where m.message_id = any ($1)
   and m.recipient_phone is not null
    on conflict (phone) do nothing;
