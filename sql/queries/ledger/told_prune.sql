-- told_prune: removes what recipients were told before something that has arrived since.
--
-- $1 watch, $2 entity_keys, $3 recipient_keys: the recipients
-- $4 before: the moment before which nothing counts any more
delete from rowbell.last_told as t
 using unnest($2::text[], $3::text[], $4::timestamptz[]) as o (entity_key, recipient_key, before)
 where t.watch = $1 and t.entity_key = o.entity_key and t.recipient_key = o.recipient_key
   and t.told_at < o.before;
