-- delivery_again: lets an endpoint be told again what it was told, or what was given up.
--
-- $1 endpoint: which
-- $2 since: outcomes stored since then; null: whenever
-- $3 message_id: of this message; null: of all
-- $4 only_given_up: whether only what was given up
-- $5 now: the time
update rowbell.outgoing_delivery as d
   set state         = 'due',
       due_at        = $5,
       tried_since   = $5,
       attempt_count = 0,
       last_error    = null,
       ended_at      = null
 where d.endpoint = $1
   and (d.state = 'given_up' or (d.state = 'delivered' and not $4))
   and ($2::timestamptz is null or d.stored_at >= $2)
   and ($3::bigint is null or d.message_id = $3)
returning d.delivery_id;
