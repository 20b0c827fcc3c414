-- retention_remove_messages: removes the next messages, with their attempts. Gives the last id that was looked at,
-- and how many went.
--
-- What still has to leave stays, and so does what somebody else is writing: nobody waits.
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
       and m.state not in ('waiting', 'scheduled', 'held', 'sending')
       for update skip locked
), tried as (
    delete from rowbell.attempt as a
     using picked as p
     where a.message_id = p.message_id
), answered as (
    delete from rowbell.reply as r
     using picked as p
     where r.message_id = p.message_id
), posted as (
    delete from rowbell.outgoing_delivery as d
     using picked as p
     where d.message_id = p.message_id
), asked as (
    delete from rowbell.reconcile_lookup as i
     using picked as p
     where i.message_id = p.message_id
), done as (
    delete from rowbell.message as m
     using picked as p
     where m.message_id = p.message_id
 returning m.message_id, m.watch, m.entity_key
), known as (
    delete from rowbell.last_told as t
     using done as d
     where t.watch = d.watch and t.entity_key = d.entity_key and t.message_id = d.message_id
)
select (select max(message_id) from looked) as last_id, count(*) as done from done;
