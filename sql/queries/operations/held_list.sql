-- held_list: reads the messages that wait for a person, by hold.
--
-- $1 hold_id: only this hold; null: all
-- $2 watch: only holds of this watch; null: all
select h.hold_id, h.watch, h.reason, h.began_at, h.message_count as joined, held.messages,
       held.examples
  from rowbell.hold as h
 cross join lateral (
       select count(*) as messages,
              (array_agg(q.entity_key order by q.message_id))[1:3] as examples
         from rowbell.queue as q
        where q.state = 'held' and q.watch = h.watch and q.hold_id = h.hold_id
  ) as held
 where held.messages > 0
   and ($1::bigint is null or h.hold_id = $1)
   and ($2::text is null or h.watch = $2)
 order by h.hold_id;
