-- settle_sibling: a later message of the entity ($1 watch, $2 key) than $3, unless it ended untold.
--
-- A later one that is open, on its way, or has left tells the row as it is now: it says what this
-- one would say.
select m.message_id
  from rowbell.message as m
 where m.watch = $1 and m.entity_key = $2
   and m.message_id > $3
   and m.state not in ('failed', 'skipped')
 order by m.message_id desc
 limit 1;
