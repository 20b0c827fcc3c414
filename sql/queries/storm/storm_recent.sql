-- storm_recent: reads the entities of which messages were opened lately, by whichever daemon, oldest first.
--
-- What a person was asked about as a large transaction does not count, nor what was muted. A message that was opened for
-- one of several recipients tells of the same first change as the one before it.
--
-- $1 after: only messages with ids above this; null: those that were opened since a moment
-- $2 since: only messages that were opened since this moment
-- $3 at_most: so many messages of any watch are looked at, the latest
-- $4 watches: the watches
select m.watch, m.entity_key, m.first_changed_at
  from (select * from rowbell.message as m
         where m.message_id > coalesce($1, rowbell.first_message_since($2) - 1)
         order by m.message_id desc limit $3) as m
 where m.watch = any ($4)
   and m.created_at >= $2
   and not m.was_set_aside
   and m.fallback_of is null
   and m.reason is distinct from 'muted' and m.reason is distinct from 'discarded'
   and not exists (
       select
         from rowbell.message as earlier
        where earlier.watch = m.watch and earlier.entity_key = m.entity_key
          and earlier.message_id < m.message_id and earlier.first_changed_at = m.first_changed_at
   )
 order by m.message_id;
