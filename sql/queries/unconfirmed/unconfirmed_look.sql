-- unconfirmed_look: reads messages, latest first, with the last attempt of each and how long evidence is awaited.
--
-- decide_at: when the policy of its watch decides; null: it has decided that a person looks, or the message is not
-- unconfirmed.
--
-- $1 message_ids: the messages
select m.message_id, m.watch, m.entity_key, m.channel, m.state::text, m.reason::text,
       a.started_at, a.error_text,
       q.due_at as decide_at
  from rowbell.message as m
  left join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
  left join rowbell.queue as q on q.message_id = m.message_id and q.state = 'unconfirmed'
 where m.message_id = any ($1)
 order by m.message_id desc;
