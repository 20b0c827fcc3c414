-- settle_queue: what message $1 waits for now: $2 open or unconfirmed, until $3.
update rowbell.queue
   set state            = $2::text::rowbell.queue_state,
       due_at           = $3,
       leased_by        = null,
       lease_expires_at = null
 where message_id = $1;
