-- fallback_withdraw: withdraws what stands in for messages that arrived after all, and has not left. Returns watch
-- and channel of each message that it withdraws.
--
-- Messages into which a newer change was folded stay as they are: compose finds what they still have to tell.
--
-- $1 message_ids: the messages that arrived
-- $2 now: the time
with arrived as (
    select m.message_id, coalesce(m.fallback_of, m.message_id) as first_id, m.last_changed_at
      from rowbell.message as m
     where m.message_id = any ($1)
), withdrawn as (
    delete from rowbell.queue as q
     using arrived as a
      join rowbell.message as f on f.fallback_of = a.first_id and f.message_id > a.message_id
     where q.message_id = f.message_id
       and q.state in ('open', 'held')
       and f.last_changed_at = a.last_changed_at
 returning q.message_id, a.message_id as arrived_id
)
update rowbell.message as m
   set state              = 'skipped',
       reason             = 'not_needed',
       reason_text        = 'message ' || w.arrived_id || ' arrived after all',
       waits_for          = null,
       waits_for_template = null,
       waits_for_language = null,
       due_at             = null,
       finished_at        = $2,
       updated_at         = $2,
       updated_by         = 'fallback_withdraw'
  from withdrawn as w
 where m.message_id = w.message_id
returning m.watch, m.channel;
