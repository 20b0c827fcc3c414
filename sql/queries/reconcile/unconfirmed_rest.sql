-- unconfirmed_rest: ends the requests for evidence about an attempt; what comes by itself counts. It is looked up
-- once more at next_at, to see whether the matter was settled otherwise.
--
-- $1 message_id, $2 number: the attempt
-- $3 next_at: when it is looked up again
update rowbell.unconfirmed_attempt
   set next_at = $3,
       is_late = true
 where message_id = $1 and number = $2;
