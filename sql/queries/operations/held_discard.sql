-- held_discard: ends held messages, oldest first.
--
-- $1 watch, $2 hold_id: the hold
-- $3 limit: how many messages at most
-- $4 now: the time
-- $5 reason: discarded, or muted: then they count as told
-- $6 reason_text: why, as a sentence
with chosen as (
    select q.message_id
      from rowbell.queue as q
     where q.state = 'held' and q.watch = $1 and q.hold_id = $2
     order by q.message_id
     limit $3
       for update skip locked
), ended as (
    delete from rowbell.queue as q
     using chosen as c
     where q.message_id = c.message_id
 returning q.message_id
)
update rowbell.message as m
   set state              = 'skipped',
       reason             = $5::text::rowbell.message_reason,
       reason_text        = $6,
       waits_for          = null,
       waits_for_template = null,
       waits_for_language = null,
       due_at             = null,
       finished_at        = $4,
       updated_at         = $4,
       updated_by         = 'held_discard'
  from ended as e
 where m.message_id = e.message_id
returning m.message_id;
