-- claim_rename_out: makes room where rows swap their primary keys: what is about to be renamed has no row's key
-- meanwhile.
--
-- A queue has one open message of an entity at any moment, also between two rows of one statement.
--
-- $1 watches, $2 old_keys: the entities before
update rowbell.queue as q
   set entity_key = chr(1) || q.entity_key
  from unnest($1::text[], $2::text[]) as r (watch, old_key)
 where q.watch = r.watch and q.entity_key = r.old_key;
