-- opt_out_add: adds phones that must not be written to. Gives the phones that are new.
--
-- Who opted out before keeps the reason of then.
--
-- $1 phones, $2 reasons: each phone, and why
-- $3 source: a word of rowbell.opt_out_source
-- $4 now: the time
-- $5 scope: the watch that they must not be told of; empty: all
-- $6 origin: from where it came
insert into rowbell.opt_out (phone, scope, since, reason, source, origin)
select distinct on (wanted.phone) wanted.phone, $5, $4::timestamptz, wanted.reason, $3::text::rowbell.opt_out_source, $6
  from unnest($1::text[], $2::text[]) with ordinality as wanted (phone, reason, ordinal)
 order by wanted.phone, wanted.ordinal
    on conflict (phone, scope) do nothing
returning phone;
