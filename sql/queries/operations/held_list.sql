-- held_list: reads what waits for a person, by hold: messages, and entities whose changes are set aside as a transaction.
--
-- $1 hold_id: only this hold; null: all
-- $2 watch: only holds of this watch; null: all
select h.hold_id, h.watch, h.reason, h.began_at, h.message_count as joined, held.messages + apart.entities as messages,
       (held.examples || first.examples)[1:3] as examples
  from rowbell.hold as h
 cross join lateral (
       select count(*) as messages,
              coalesce((array_agg(q.entity_key order by q.message_id))[1:3], '{}') as examples
         from rowbell.queue as q
        where q.state = 'held' and q.watch = h.watch and q.hold_id = h.hold_id
  ) as held
 cross join lateral (
       select coalesce(sum(l.entity_count), 0)::bigint as entities
         from rowbell.held_transaction as l
        where l.hold_id = h.hold_id
  ) as apart
 cross join lateral (
       select array(
                  select c.entity_key
                    from rowbell.held_transaction as l
                    join rowbell.change as c
                      on c.watch = l.watch and c.change_id between l.first_change_id and l.last_change_id
                     and c.transaction_id = l.transaction_id
                   where l.hold_id = h.hold_id and c.entity_key is not null
                   order by c.change_id
                   limit 3
              ) as examples
  ) as first
 where held.messages + apart.entities > 0
   and ($1::bigint is null or h.hold_id = $1)
   and ($2::text is null or h.watch = $2)
 order by h.hold_id;
