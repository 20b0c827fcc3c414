-- retention_pick: of the next $3 messages with ids above $1 and below $2, those whose personal data
-- may go, locked; and in every row the last id that was looked at.
--
-- What still has to leave is passed over, and so is what somebody else is writing: nobody waits.
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
