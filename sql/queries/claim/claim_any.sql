-- claim_any: reads whether there is a change of some watches above a bound.
--
-- What an awake daemon asks every few milliseconds: one read, no transaction id, no lock.
--
-- $1 above: only changes with ids above this
-- $2 watches: names of the watches
select exists (
    select
      from rowbell.change as c
     where c.change_id > $1
       and c.watch = any ($2)
) as is_there;
