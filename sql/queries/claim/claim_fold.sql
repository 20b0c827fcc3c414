-- claim_fold: fold later changes into open messages.
--
-- $1 message, $2 net operation, $3 row after the last change, $4 how many changes, $5 when the last
-- was made, $6 when the message is due now; $7 the time.
-- A held message stays held; any other one waits again.
with folded as (
    select *
      from unnest($1::bigint[], $2::text[], $3::jsonb[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
           as f (message_id, operation, new_row, change_count, last_changed_at, due_at)
), queued as (
    update rowbell.queue as q
       set due_at = f.due_at
      from folded as f
     where q.message_id = f.message_id
)
update rowbell.message as m
   set state           = case when m.state = 'held' then m.state else 'waiting' end,
       operation       = f.operation::rowbell.change_operation,
       new_row         = f.new_row,
       change_count    = m.change_count + f.change_count,
       last_changed_at = greatest(m.last_changed_at, f.last_changed_at),
       due_at          = f.due_at,
       updated_at      = $7,
       updated_by      = 'claim_fold'
  from folded as f
 where m.message_id = f.message_id;
