-- unconfirmed_adopt: writes that an attempt was accepted after all. Why no answer came stays.
--
-- $1 message_id, $2 number: the attempt
-- $3 provider_message_id: the id that was found
update rowbell.attempt
   set result              = 'accepted',
       provider_message_id = $3
 where message_id = $1
   and number = $2
   and (result is null or result = 'unknown');
