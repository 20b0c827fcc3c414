-- day_looked: writes down when it was looked which days have to be counted.
--
-- $1 now: the time
-- $2 time_zone: the clock of the site
update rowbell.day_look
   set looked_at = $1,
       time_zone = $2;
