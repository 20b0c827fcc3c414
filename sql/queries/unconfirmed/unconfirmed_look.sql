-- unconfirmed_look: reads messages, latest first, with the last attempt of each and how long evidence is awaited.
--
-- decide_at: when the policy of its watch decides; null: it has decided that a person looks, or the message is not
-- unconfirmed.
--
-- With those that the same request said: what becomes of one becomes of all.
--
-- $1 message_ids: the messages
with request as (
    select m.message_id, coalesce(a.carried_by, a.message_id) as carrier, coalesce(a.carried_number, a.number) as number
      from rowbell.message as m
      left join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
     where m.message_id = any ($1)
), said as (
    select message_id from request
     union
    select carrier from request where carrier is not null
     union
    select a.message_id from request as r join rowbell.attempt as a on a.carried_by = r.carrier and a.carried_number = r.number
)
select m.message_id, m.watch, m.entity_key, m.channel, m.state::text, m.reason::text,
       a.started_at, a.error_text,
       q.due_at as decide_at
  from rowbell.message as m
  left join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
  left join rowbell.queue as q on q.message_id = m.message_id and q.state = 'unconfirmed'
 where m.message_id in (select message_id from said)
 order by m.message_id desc;
