-- status_blockers: reads everything that keeps messages from leaving, and what waits for a person. Columns that a
-- kind does not have are null.
--
-- $1 environment: environment of the configuration
-- $2 system_identifier: identifier of this server; null: it may not be read
select 'copy' as kind, 'copy' as state, i.environment, null as channel, null as template, null as language,
       null as watch, null::bigint as hold_id, null::text as waits_for,
       concat_ws(', ', 'environment ' || i.environment, 'server ' || i.system_identifier, 'database ' || i.database_oid) as reason,
       i.updated_at as since, null::timestamptz as next_try_at, null::bigint as messages
  from rowbell.installation as i
 where i.environment is not null
   and (i.environment <> $1
        or i.database_oid is distinct from (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        or (i.system_identifier is not null and $2::text is not null and i.system_identifier <> $2))
union all
select 'paused', 'paused', null, case when p.kind = 'channel' then p.name end, null, null,
       case when p.kind = 'watch' then p.name end, null, null, p.reason, p.since, null, null
  from rowbell.pause as p
union all
select 'circuit', c.state::text, null, c.channel, nullif(c.template, ''), nullif(c.language, ''),
       null, null, null, c.reason, c.since, c.probe_at, null
  from rowbell.circuit as c
 where c.state <> 'closed'
union all
select 'hold', 'held', null, null, null, null, h.watch, h.hold_id, null, h.reason, h.began_at, null, held.messages
  from rowbell.hold as h
 cross join lateral (
       select (select count(*) from rowbell.queue as q where q.state = 'held' and q.watch = h.watch and q.hold_id = h.hold_id)
              + coalesce((select sum(l.entity_count)::bigint from rowbell.held_transaction as l where l.hold_id = h.hold_id), 0)
              as messages
  ) as held
 where held.messages > 0
union all
-- Looked at, and put off: they should go on to their next channel, and cannot yet.
select 'fallback', 'waiting', null, m.channel, null, null, null, null, f.waits_for::text, null,
       min(coalesce(m.sent_at, m.updated_at)), null, count(*)
  from rowbell.fallback as f
  join rowbell.message as m using (message_id)
 where f.waits_for is not null
 group by m.channel, f.waits_for
 order by kind, channel, watch, template nulls first, language, hold_id, waits_for;
