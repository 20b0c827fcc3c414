-- day_begin: takes the right to look which days have to be counted. No row: a daemon looked lately, or looks now.
--
-- $1 looked_before: only if the last look was before
select l.looked_at, l.time_zone
  from rowbell.day_look as l
 where l.looked_at is null or l.looked_at <= $1
   for update skip locked;
