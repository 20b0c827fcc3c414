-- forget_end: ends messages that still have to leave. One that is leaving right now stays.
--
-- Unconfirmed: nobody decides about it any more, so it is never sent again.
--
-- $1 message_ids: the messages
-- $2 now: the time
with gone as (
    delete from rowbell.queue as q
     where q.message_id = any ($1)
       and q.state in ('open', 'held', 'unconfirmed')
 returning q.message_id
)
update rowbell.message as m
   set state              = 'skipped',
       reason             = 'discarded',
       reason_text        = 'its recipient was forgotten',
       waits_for          = null,
       waits_for_template = null,
       waits_for_language = null,
       due_at             = null,
       finished_at        = $2,
       updated_at         = $2,
       updated_by         = 'forget_end'
  from gone as g
 where m.message_id = g.message_id
   and m.state in ('waiting', 'scheduled', 'held')
returning m.message_id;
