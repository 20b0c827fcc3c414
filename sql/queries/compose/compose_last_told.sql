-- compose_last_told: reads everything that counts as told to an entity, latest first, down to the last message that
-- really left, but not below one that was redacted. Asked only for entities whose latest is a muted change.
--
-- The latest is what was told last, not what was opened last: a message that waited while a change was muted
-- tells the row as it was when it left, with that change in it.
--
-- $1 watch, $2 entity_key: the entity
-- $3 counts_unconfirmed: whether unconfirmed messages count as told
-- $4 silent_channels: where it is not null, only what is known to have arrived counts: delivered, or accepted
--    by one of these channels, which send no receipts
-- $5 counts_dry_run: whether messages of a dry run count: for another dry run
with counted as (
    select m.message_id, m.reason::text = 'muted' as is_muted, m.redacted_at is not null as is_redacted, m.old_row, m.new_row,
           -- The row is read at the start of an attempt; a muted change was made before it was folded.
           coalesce((select max(a.started_at) from rowbell.attempt as a where a.message_id = m.message_id), m.created_at) as told_at
      from rowbell.message as m
     where m.watch = $1 and m.entity_key = $2
       -- What has arrived takes the place of all that was opened before it; entities live for years.
       and m.message_id >= coalesce((
               select max(d.message_id)
                 from rowbell.message as d
                where d.watch = $1 and d.entity_key = $2 and d.state in ('delivered', 'read')
           ), 0)
       and (m.state in ('delivered', 'read')
            or (m.state = 'sent' and ($4::text[] is null or m.channel = any ($4)))
            or (m.state = 'unconfirmed' and $3 and $4::text[] is null)
            or (m.state = 'skipped' and (m.reason = 'muted' or (m.reason = 'dry_run' and $5))))
), last as (
    select u.told_at, u.message_id
      from counted as u
     where u.is_muted is not true or u.is_redacted
     order by u.told_at desc, u.message_id desc
     limit 1
)
select t.is_muted, t.old_row, t.new_row
  from counted as t
  left join last as l on true
 where (l.message_id is null or (t.told_at, t.message_id) >= (l.told_at, l.message_id))
   and not t.is_redacted
 order by t.told_at desc, t.message_id desc;
