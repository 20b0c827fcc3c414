-- poll_write: what is left of groups of accepted messages: $1 group and $2 message, one array element for each
-- message that has not ended; of all groups taken $3 when they are due again ($4); $5 the time.
--
-- A group of which nothing is left is deleted.
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
