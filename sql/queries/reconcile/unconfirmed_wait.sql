-- unconfirmed_wait: attempt $2 of message $1 is looked into again at $3.
update rowbell.unconfirmed_attempt
   set next_at     = $3,
       asked_count = asked_count + 1
 where message_id = $1 and number = $2;
