-- delivery_end: writes what became of attempts. What somebody else has tried since stays as it is.
--
-- $1 delivery_ids, $2 attempts: each, and which attempt it was
-- $3 states: delivered, given_up, or due for what is tried again
-- $4 due_ats: when it is
-- $5 http_statuses, $6 errors: what the endpoint answered
-- $7 now: the time
update rowbell.outgoing_delivery as d
   set state       = e.state::rowbell.delivery_state,
       due_at      = e.due_at,
       http_status = e.http_status,
       last_error  = e.error,
       ended_at    = case when e.state <> 'due' then $7::timestamptz end
  from unnest($1::bigint[], $2::integer[], $3::text[], $4::timestamptz[], $5::smallint[], $6::text[])
    as e (delivery_id, attempt, state, due_at, http_status, error)
 where d.delivery_id = e.delivery_id and d.attempt_count = e.attempt and d.state = 'due';
