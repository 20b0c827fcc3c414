-- catch_up_known: reads entities of which somebody was told, each with the row that was told last, in order of their
-- keys. Where one was told a row and another that it is not theirs any more, the row counts. What waits to leave tells
-- the row as it is: such entities are left out.
--
-- $1 watch: name of the watch
-- $2 above: only entities with keys above this
-- $3 since: only those of which somebody was told since then; null: all
-- $4 limit: how many at most
select t.entity_key, (array_agg(t.row order by t.row is null, t.told_at desc, t.message_id desc))[1] as row
  from rowbell.last_told as t
 where t.watch = $1 and t.entity_key > $2 and t.status <> 'rehearsed'
   and not exists (
       select
         from rowbell.queue as q
        where q.watch = t.watch and q.entity_key = t.entity_key and q.state in ('open', 'held')
          and q.recipient_key is null
   )
 group by t.entity_key
having $3::timestamptz is null or max(t.told_at) >= $3
 order by t.entity_key
 limit $4;
