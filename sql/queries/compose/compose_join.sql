-- compose_join: lets the open messages of single recipients tell what a message for all of them was to tell them. They
-- are put into words from the row as it is then. A wait after an attempt in vain goes on; what a gate has put off is
-- decided anew.
--
-- $1 message_ids: the open messages
-- $2 new_rows: the row after the last change
-- $3 change_counts, $4 last_changed_at: how many changes, and when the last was made
-- $5 changed_by: who made them, each a list with unit separators (U+001F) between the names
-- $6 now: the time
with joined as (
    select *
      from unnest($1::bigint[], $2::jsonb[], $3::integer[], $4::timestamptz[], $5::text[])
           as j (message_id, new_row, change_count, last_changed_at, changed_by)
), queued as (
    update rowbell.queue as q
       set due_at = least(q.due_at, $6)
      from joined as j
      join rowbell.message as m using (message_id)
     where q.message_id = j.message_id and q.state = 'open'
       and coalesce(m.waits_for not in ('retry', 'burst_retry', 'hold'), true)
 returning q.message_id, q.due_at
)
update rowbell.message as o
   set new_row         = j.new_row,
       change_count    = o.change_count + j.change_count,
       last_changed_at = greatest(o.last_changed_at, j.last_changed_at),
       changed_by      = array(select distinct n.name
                                 from unnest(o.changed_by || string_to_array(j.changed_by, U&'\001F')) as n (name)
                                limit 10),
       due_at          = coalesce((select q.due_at from queued as q where q.message_id = o.message_id), o.due_at),
       updated_at      = $6,
       updated_by      = 'compose_join'
  from joined as j
 where o.message_id = j.message_id
   and o.state in ('waiting', 'scheduled', 'held');
