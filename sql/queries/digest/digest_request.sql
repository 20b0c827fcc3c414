-- digest_request: reads which messages the last request about a message said: itself, and the others of a digest.
--
-- In the order in which they are locked.
--
-- $1 message_id: the message
with request as (
    select coalesce(a.carried_by, a.message_id) as message_id, coalesce(a.carried_number, a.number) as number
      from rowbell.message as m
      join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
     where m.message_id = $1
)
select message_id
  from request
 union
select a.message_id
  from request as r
  join rowbell.attempt as a on a.carried_by = r.message_id and a.carried_number = r.number
 order by message_id;
