-- outcome_later: notes why a hook failed, and when it is tried again.
--
-- $1 call_id: which
-- $2 due_at: when
-- $3 last_error: why
update rowbell.outcome_call
   set due_at = $2, attempt_count = attempt_count + 1, last_error = $3
 where call_id = $1;
