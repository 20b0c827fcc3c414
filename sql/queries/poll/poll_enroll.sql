-- poll_enroll: asks for the end of an accepted message later, if the provider of its channel can be asked.
--
-- Called when an answer or evidence came late; settle_accepted enrolls whole batches.
--
-- $1 message_id: the message that was accepted
-- $2 channel: the channel that it was sent on
-- $3 accepted_at: when the provider accepted it
-- $4 due_at: when the provider is asked first
-- $5 channels: the channels whose provider can be asked
insert into rowbell.poll (channel, message_ids, accepted_at, due_at)
select $2::text, array[$1::bigint], $3::timestamptz, $4::timestamptz
 where $2::text = any ($5::text[])
   -- Of a digest the provider is asked once, for the message that carries the others.
   and not exists (
       select
         from rowbell.message as m
         join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
        where m.message_id = $1 and a.carried_by is not null
   );
