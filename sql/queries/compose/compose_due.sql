-- compose_due: takes open messages of a channel that are due, the watches in turn.
--
-- A message's place in turn is that of its watch and the cost of those before it; the smallest places leave
-- first. See domain/limit/fair_share.rs.
--
-- Called by pipeline/compose/compose.rs. Reads queue_fair_idx. Skips rows that somebody else is taking.
-- The bounds keep the scan from walking entries of rows that have left; a scan from the beginning
-- now and again proves them right.
--
-- $1 channel: name of the channel
-- $2 now: the time
-- $3 watches: names of the watches
-- $4 above_due_at, $5 above_message_id: of each watch, only messages beyond this bound
-- $6 starts, $7 costs: the place of each watch in turn, and what one of its messages costs it
-- $8 limit: how many messages at most
with next_messages as (
    select next.message_id, w.start + (next.place - 1) * w.cost as place, next.due_at
      from unnest($3::text[], $4::timestamptz[], $5::bigint[], $6::double precision[], $7::double precision[])
           as w (watch, above_due_at, above_message_id, start, cost)
     cross join lateral (
           select q.message_id, q.due_at, row_number() over (order by q.due_at, q.message_id) as place
             from rowbell.queue as q
            where q.state = 'open'
              and q.channel = $1
              and q.watch = w.watch
              and q.due_at <= $2
              and (q.due_at, q.message_id) > (w.above_due_at, w.above_message_id)
            order by q.due_at, q.message_id
            limit $8
     ) as next
     order by place, next.due_at, next.message_id
     limit $8
)
select due.*
  from next_messages
 -- One by one, by key: whatever the planner thinks of the size of the queue.
 cross join lateral (
       select q.message_id, q.due_at, q.watch, q.entity_key,
              m.operation::text, m.old_row, m.new_row, m.change_count, m.first_changed_at, m.last_changed_at,
              m.attempt_count, m.fallback_of, q.recipient_key, m.changed_by
         from rowbell.queue as q
         join rowbell.message as m using (message_id)
        where q.message_id = next_messages.message_id
          and q.state = 'open'
          and q.due_at <= $2
          for update of q skip locked
 ) as due
 order by next_messages.place, next_messages.due_at, next_messages.message_id;
