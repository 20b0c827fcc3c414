-- retry_write: schedules messages again because a person wants it. Returns those that will be sent.
--
-- Asks once more what retry_look asked, because the daemon goes on meanwhile.
--
-- $1 message_ids: the messages
-- $2 reason_text: who wants it, as a sentence
-- $3 now: the time
with chosen as (
    select m.message_id, m.channel, m.watch, m.entity_key,
           case when not m.is_for_all then m.recipient_key end as recipient_key
      from rowbell.message as m
     where m.message_id = any ($1)
       and m.state in ('failed', 'skipped', 'unconfirmed')
       and not exists (
           select
             from rowbell.message as later
            where later.watch = m.watch and later.entity_key = m.entity_key
              and (later.recipient_key is null or m.recipient_key is null or later.recipient_key = m.recipient_key)
              and later.message_id > m.message_id
              and later.state not in ('failed', 'skipped')
       )
       for update of m
), queued as (
    -- In the queue already: it is being decided. Another one of the entity is open: that one tells it.
    insert into rowbell.queue (message_id, channel, watch, entity_key, recipient_key, state, due_at)
    select c.message_id, c.channel, c.watch, c.entity_key, c.recipient_key, 'open', $3
      from chosen as c
        on conflict do nothing
 returning message_id, watch, entity_key
), known as (
    -- It is told once more, whatever a request without an answer may have told.
    update rowbell.last_told as t
       set status = 'possible'
      from queued as q
     where t.watch = q.watch and t.entity_key = q.entity_key and t.message_id = q.message_id
       and t.status = 'unconfirmed'
)
update rowbell.message as m
   set state       = 'scheduled',
       reason      = null,
       reason_text = $2,
       due_at      = $3,
       finished_at = null,
       updated_at  = $3,
       updated_by  = 'retry_write'
  from queued as q
 where m.message_id = q.message_id
returning m.message_id;
