-- forget_entities: the messages of the entities ($1 watch, $2 key) that name nobody: they tell of the
-- same things as those that name the phone.
select m.message_id
  from unnest($1::text[], $2::text[]) as entity (watch, entity_key)
  join rowbell.message as m using (watch, entity_key)
 where m.recipient_phone is null
   and m.redacted_at is null;
