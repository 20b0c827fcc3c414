-- day_forget: forgets the days that can be counted anew, because the clock of the site is another one.
--
-- $1 time_zone: the clock
-- $2 whole_since: messages opened since are all there; null: all are
with gone as (
    delete from rowbell.day_span as s
     where s.day > coalesce(($2::timestamptz at time zone $1::text)::date, '-infinity')
 returning s.day
), slow as (
    delete from rowbell.day_latency as l
     using gone as g
     where l.day = g.day
)
delete from rowbell.day as d
 using gone as g
 where d.day = g.day;
