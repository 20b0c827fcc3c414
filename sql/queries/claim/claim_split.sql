-- claim_split: makes messages that were tried in vain those of their recipients only: their rows go over to others, who
-- need not wait for that. Returns those that it changed.
--
-- $1 message_ids: the messages, locked
with split as (
    update rowbell.queue as q
       set recipient_key = m.recipient_key
      from rowbell.message as m
     where q.message_id = any ($1)
       and m.message_id = q.message_id
       and m.recipient_key is not null
       and not exists (
           select
             from rowbell.queue as own
            where own.watch = q.watch and own.entity_key = q.entity_key and own.state in ('open', 'held')
              and own.recipient_key = m.recipient_key
       )
 returning q.message_id
)
update rowbell.message as m
   set is_for_all = false
  from split as s
 where m.message_id = s.message_id
returning m.message_id;
