-- retention_pick: locks those of the next messages whose personal data may go. Every row has the last id that was
-- looked at.
--
-- Passes over messages that still have to leave, and those that somebody else is writing: nobody waits.
--
-- $1 above, $2 below: only ids between these two
-- $3 limit: how many messages are looked at
with looked as (
    select m.message_id
      from rowbell.message as m
     where m.message_id > $1
       and m.message_id < $2
     order by m.message_id
     limit $3
), picked as (
    select m.message_id
      from rowbell.message as m
     where m.message_id = any (array(select message_id from looked))
       and m.redacted_at is null
       and m.state not in ('waiting', 'scheduled', 'held', 'sending')
       for update skip locked
)
select l.last_id, p.message_id
  from (select max(message_id) as last_id from looked) as l
  left join picked as p on true
 where l.last_id is not null;
