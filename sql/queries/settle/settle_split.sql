-- settle_split: makes a message that of its recipient only, where another one is open for all recipients of its entity:
-- the row went over to somebody else meanwhile.
--
-- $1 message_id: the message
update rowbell.message as m
   set is_for_all = false
 where m.message_id = $1
   and m.is_for_all
   and m.recipient_key is not null
   and exists (
       select
         from rowbell.queue as q
        where q.watch = m.watch and q.entity_key = m.entity_key and q.state in ('open', 'held')
          and q.recipient_key is null and q.message_id <> m.message_id
   );
