-- poll_write: writes what is left of groups of accepted messages. A group of which nothing is left is deleted.
--
-- $1 kept_poll_ids, $2 kept_message_ids: group and id of each message that has not ended
-- $3 poll_ids, $4 due_at: all groups that were taken, and when each is due again
-- $5 now: the time
with kept as (
    select k.poll_id, array_agg(k.message_id order by k.message_id) as message_ids
      from unnest($1::bigint[], $2::bigint[]) as k (poll_id, message_id)
     group by k.poll_id
), ended as (
    delete from rowbell.poll as p
     where p.poll_id = any ($3) and p.poll_id <> all (array(select k.poll_id from kept as k))
)
update rowbell.poll as p
   set message_ids = k.message_ids,
       due_at      = d.due_at,
       asked_at    = $5,
       asked_count = p.asked_count + 1
  from kept as k
  join unnest($3::bigint[], $4::timestamptz[]) as d (poll_id, due_at) using (poll_id)
 where p.poll_id = k.poll_id;
