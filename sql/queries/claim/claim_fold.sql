-- claim_fold: folds later changes into open messages. A held message stays held; any other one waits again.
--
-- $1 message_ids, $2 operations, $3 new_rows: each message, its net operation, and the row after the last change
-- $4 change_counts, $5 last_changed_at: how many changes it takes in, and when the last was made
-- $6 due_at: when each message is due now
-- $7 now: the time
-- $8 changed_by: who made the changes, each a list with unit separators (U+001F) between the names
with folded as (
    select *
      from unnest($1::bigint[], $2::text[], $3::jsonb[], $4::integer[], $5::timestamptz[], $6::timestamptz[], $8::text[])
           as f (message_id, operation, new_row, change_count, last_changed_at, due_at, changed_by)
), queued as (
    update rowbell.queue as q
       set due_at = f.due_at
      from folded as f
     where q.message_id = f.message_id
)
update rowbell.message as m
   set state           = case when m.state = 'held' then m.state else 'waiting' end,
       operation       = f.operation::rowbell.message_operation,
       new_row         = f.new_row,
       change_count    = m.change_count + f.change_count,
       last_changed_at = greatest(m.last_changed_at, f.last_changed_at),
       due_at          = f.due_at,
       changed_by      = case when m.changed_by @> string_to_array(f.changed_by, U&'\001F') then m.changed_by
                              else array(select distinct n.name
                                           from unnest(m.changed_by || string_to_array(f.changed_by, U&'\001F')) as n (name)
                                          limit 10)
                         end,
       updated_at      = $7,
       updated_by      = 'claim_fold'
  from folded as f
 where m.message_id = f.message_id;
