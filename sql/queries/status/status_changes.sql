-- status_changes: counts the changes that are not folded yet, by watch.
--
-- Also of watches that are no longer in the configuration: nobody takes those. Without what waits for a person.
select c.watch,
       count(*) as changes,
       count(c.capture_error) as unreadable,
       min(c.changed_at) as oldest_changed_at
  from rowbell.change_to_claim as c
 group by c.watch
 order by c.watch;
