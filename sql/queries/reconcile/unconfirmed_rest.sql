-- unconfirmed_rest: nobody asks for evidence about attempt $2 of message $1 any more; what comes by itself counts. It is
-- looked at again at $3, to see whether the matter was settled otherwise.
update rowbell.unconfirmed_attempt
   set next_at = $3,
       is_late = true
 where message_id = $1 and number = $2;
