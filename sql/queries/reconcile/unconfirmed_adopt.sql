-- unconfirmed_adopt: attempt $2 of message $1 was taken after all, under the id $3. Why no answer came stays.
update rowbell.attempt
   set result              = 'accepted',
       provider_message_id = $3
 where message_id = $1
   and number = $2
   and (result is null or result = 'unknown');
