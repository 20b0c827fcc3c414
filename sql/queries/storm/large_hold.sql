-- large_hold: lets a hold have a large transaction, and gives the messages of the watch that wait and that it is about:
-- they must not tell what waits. Their entities are counted with them.
--
-- $1 large_transaction_id: the large transaction
-- $2 hold_id: the hold
with large as (
    select * from rowbell.large_transaction as l where l.large_transaction_id = $1
), waiting as (
    select q.message_id, q.entity_key
      from rowbell.queue as q
      join large as l on l.watch = q.watch
     where q.state = 'open'
       and q.entity_key in (
           select c.entity_key
             from rowbell.change as c
            where c.watch = l.watch and c.change_id between l.first_change_id and l.last_change_id
              and c.transaction_id = l.transaction_id and c.mute_reason is null
       )
), held as (
    update rowbell.large_transaction as l
       set hold_id      = $2,
           entity_count = greatest(l.entity_count - (select count(distinct w.entity_key) from waiting as w), 0)
     where l.large_transaction_id = $1
 returning l.entity_count
), counted as (
    update rowbell.hold as h
       set message_count = held.entity_count
      from held
     where h.hold_id = $2
)
select message_id from waiting;
