-- outcome_done: forgets an outcome that was told, or that nobody wants to be told any more.
--
-- $1 call_id: which
delete from rowbell.outcome_call
 where call_id = $1;
