-- budget_lock: lets one transaction after the other take from a budget, and forgets whom nobody has written to for long.
--
-- $1 budget: name of the budget
-- $2 since: who was written to before this does not count any more
with turn as materialized (
    select pg_advisory_xact_lock(hashtextextended('rowbell budget ' || $1, 0))
)
delete from rowbell.budget_recipient as b
 using turn
 where b.budget = $1 and b.written_at <= $2;
