-- fallback_open: opens a message on the next channel for each message that goes on.
--
-- Each new message points to the first of its chain. Where the recipient, or all of the entity, have an open
-- message, none is needed: that one tells everything.
--
-- $1 message_ids, $2 channels, $3 reason_texts: the messages, where each goes, and why, as a sentence
-- $4 now: the time
with opened as (
    insert into rowbell.message (
           watch, entity_key, recipient_key, is_for_all, changed_by, state, reason_text, operation, change_count, first_changed_at, last_changed_at,
           old_row, new_row, channel, due_at, fallback_of, created_at, updated_at, updated_by
    )
    select m.watch, m.entity_key, m.recipient_key, m.recipient_key is null, m.changed_by, 'scheduled', c.why, m.operation, m.change_count, m.first_changed_at,
           m.last_changed_at, m.old_row, m.new_row, c.channel, $4, coalesce(m.fallback_of, m.message_id), $4, $4,
           'fallback_open'
      from unnest($1::bigint[], $2::text[], $3::text[]) as c (message_id, channel, why)
      join rowbell.message as m using (message_id)
     where not exists (
           select
             from rowbell.queue as q
            where q.watch = m.watch and q.entity_key = m.entity_key and q.state in ('open', 'held')
              and (q.recipient_key is null or m.recipient_key is null or q.recipient_key = m.recipient_key)
     )
 returning message_id, channel, watch, entity_key, recipient_key, due_at
)
insert into rowbell.queue (message_id, channel, watch, entity_key, recipient_key, state, due_at)
select o.message_id, o.channel, o.watch, o.entity_key, o.recipient_key, 'open', o.due_at
  from opened as o
returning message_id;
