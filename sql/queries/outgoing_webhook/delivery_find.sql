-- delivery_find: finds what an endpoint was told, or what was given up.
--
-- $1 endpoint: which
-- $2 since: outcomes stored since then; null: whenever
-- $3 message_id: of this message; null: of all
-- $4 only_given_up: whether only what was given up
select d.delivery_id
  from rowbell.outgoing_delivery as d
 where d.endpoint = $1
   and (d.state = 'given_up' or (d.state = 'delivered' and not $4))
   and ($2::timestamptz is null or d.stored_at >= $2)
   and ($3::bigint is null or d.message_id = $3);
