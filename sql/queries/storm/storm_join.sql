-- storm_join: lets messages join holds.
--
-- Those that another hold has already stay with it, and those that are being sent leave.
--
-- $1 message_ids, $2 hold_ids: each message, and the hold that it joins
-- $3 now: the time
with joining as (
    select * from unnest($1::bigint[], $2::bigint[]) as j (message_id, hold_id)
), queued as (
    update rowbell.queue as q
       set state   = 'held',
           hold_id = j.hold_id
      from joining as j
     where q.message_id = j.message_id
       and q.state in ('open', 'held')
       and q.hold_id is null
 returning q.message_id, q.hold_id
), written as (
    update rowbell.message as m
       set state              = 'held',
           reason_text        = h.reason,
           waits_for          = 'hold',
           waits_for_template = null,
           waits_for_language = null,
           updated_at         = $3,
           updated_by         = 'storm_join'
      from queued as q
      join rowbell.hold as h using (hold_id)
     where m.message_id = q.message_id
)
update rowbell.hold as h
   set message_count  = h.message_count + joined.messages,
       last_joined_at = $3
  from (select hold_id, count(*) as messages from queued group by hold_id) as joined
 where h.hold_id = joined.hold_id;
