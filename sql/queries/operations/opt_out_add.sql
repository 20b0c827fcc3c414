-- opt_out_add: adds phones that must not be written to. Gives the phones that are new.
--
-- Who opted out before keeps the reason of then.
--
-- $1 phones, $2 reasons: each phone, and why
-- $3 source: a word of rowbell.opt_out_source
-- $4 now: the time
insert into rowbell.opt_out (phone, since, reason, source)
select distinct on (wanted.phone) wanted.phone, $4::timestamptz, wanted.reason, $3::text::rowbell.opt_out_source
  from unnest($1::text[], $2::text[]) with ordinality as wanted (phone, reason, ordinal)
 order by wanted.phone, wanted.ordinal
    on conflict (phone) do nothing
returning phone;
