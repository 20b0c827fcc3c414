-- unconfirmed_wait: puts the next lookup of an unconfirmed attempt off.
--
-- $1 message_id, $2 number: the attempt
-- $3 next_at: when it is looked up again
update rowbell.unconfirmed_attempt
   set next_at     = $3,
       asked_count = asked_count + 1
 where message_id = $1 and number = $2;
