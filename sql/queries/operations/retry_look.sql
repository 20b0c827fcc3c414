-- retry_look: reads messages, latest first, with what speaks against sending them again.
--
-- told_by_id: the latest message of the same entity that says it to the same recipient instead. due_at: when it leaves by itself, or,
-- for an unconfirmed one, when the policy of its watch decides.
--
-- $1 message_ids: the messages
select m.message_id, m.watch, m.entity_key, m.channel, m.state::text, m.reason::text, m.reason_text,
       coalesce(m.due_at, q.due_at) as due_at,
       told_by.message_id as told_by_id
  from rowbell.message as m
  left join rowbell.queue as q using (message_id)
  left join lateral (
       select t.message_id
         from rowbell.message as t
        where t.watch = m.watch and t.entity_key = m.entity_key
          and t.message_id <> m.message_id
          and (t.recipient_key is null or m.recipient_key is null or t.recipient_key = m.recipient_key)
          and ((t.message_id > m.message_id and t.state not in ('failed', 'skipped'))
               or t.state in ('waiting', 'scheduled', 'held'))
        order by t.message_id desc
        limit 1
  ) as told_by on true
 where m.message_id = any ($1)
 order by m.message_id desc;
