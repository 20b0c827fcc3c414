-- status_changes: counts the changes that are not folded yet, by watch.
--
-- Also of watches that are no longer in the configuration: nobody takes those. Without what waits for a person.
select c.watch,
       count(*) as changes,
       count(c.capture_error) as unreadable,
       min(c.changed_at) as oldest_changed_at
  from rowbell.change as c
 where not exists (
       select
         from rowbell.large_transaction as l
        where l.watch = c.watch and l.transaction_id = c.transaction_id and l.decision is null
 )
 group by c.watch
 order by c.watch;
