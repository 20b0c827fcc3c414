-- delivery_again: lets an endpoint be told again what it was told, or what was given up.
--
-- $1 delivery_ids: what
-- $2 now: the time
update rowbell.outgoing_delivery as d
   set state         = 'due',
       due_at        = $2,
       tried_since   = $2,
       attempt_count = 0,
       last_error    = null,
       ended_at      = null
 where d.delivery_id = any ($1) and d.state <> 'due';
