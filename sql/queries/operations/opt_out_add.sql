-- opt_out_add: the phones $1 do not want to be written to, for the reasons $2; $3 who said so, $4 the time.
--
-- Who opted out before keeps the reason of then. Gives the phones that are new.
insert into rowbell.opt_out (phone, since, reason, source)
select distinct on (wanted.phone) wanted.phone, $4::timestamptz, wanted.reason, $3::text::rowbell.opt_out_source
  from unnest($1::text[], $2::text[]) with ordinality as wanted (phone, reason, ordinal)
 order by wanted.phone, wanted.ordinal
    on conflict (phone) do nothing
returning phone;
