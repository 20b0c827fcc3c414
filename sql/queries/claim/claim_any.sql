-- claim_any: whether there is a change of the watches $2 above the bound $1.
--
-- What an awake daemon asks every few milliseconds: one read, no transaction id, no lock.
select exists (
    select
      from rowbell.change as c
     where c.change_id > $1
       and c.watch = any ($2)
) as is_there;
