-- held_discard: ends held messages, oldest first. Those that count as told are known from then on to those who know
-- of the entity; for the others the caller runs told_assume in the same transaction.
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
), known as (
    update rowbell.last_told as t
       set row = m.new_row
      from ended as e
      join rowbell.message as m using (message_id)
     where $5 = 'muted' and t.watch = m.watch and t.entity_key = m.entity_key
       and (t.recipient_key = '' or m.recipient_key is null or t.recipient_key = m.recipient_key)
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
