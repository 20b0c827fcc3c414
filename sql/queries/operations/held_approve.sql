-- held_approve: lets held messages leave, oldest first.
--
-- Compose makes their words anew, from their rows as they are then. Messages that the daemon folds a change
-- into at this moment are left for the next call.
--
-- $1 watch, $2 hold_id: the hold
-- $3 limit: how many messages at most
-- $4 now: the time
-- $5 approved_by: who; null: the user of the database
with chosen as (
    select q.message_id
      from rowbell.queue as q
     where q.state = 'held' and q.watch = $1 and q.hold_id = $2
     order by q.message_id
     limit $3
       for update skip locked
), queued as (
    update rowbell.queue as q
       set state   = 'open',
           hold_id = null,
           due_at  = $4
      from chosen as c
     where q.message_id = c.message_id
 returning q.message_id
)
update rowbell.message as m
   set state       = 'scheduled',
       reason_text = 'approved by ' || coalesce($5, session_user::text),
       waits_for   = null,
       due_at      = $4,
       updated_at  = $4,
       updated_by  = 'held_approve'
  from queued as q
 where m.message_id = q.message_id
returning m.message_id;
