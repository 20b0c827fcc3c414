-- forget_entities: finds the messages of entities that name nobody: they tell of the same things as those that name
-- the phone.
--
-- $1 watches, $2 entity_keys: the entities
select m.message_id
  from unnest($1::text[], $2::text[]) as entity (watch, entity_key)
  join rowbell.message as m using (watch, entity_key)
 where m.recipient_phone is null
   and m.redacted_at is null;
