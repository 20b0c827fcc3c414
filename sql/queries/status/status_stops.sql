-- status_stops: everything that keeps messages from leaving, and what waits for a person.
--
-- $1 environment of the configuration, $2 identifier of this server, if it may be read.
select 'copy' as kind, i.environment as name, '' as template, '' as language, 'copy' as state,
       concat_ws(', ', 'environment ' || i.environment, 'server ' || i.system_identifier, 'database ' || i.database_oid) as reason,
       i.updated_at as since, null::timestamptz as next_try_at, null::bigint as messages
  from rowbell.installation as i
 where i.environment is not null
   and (i.environment <> $1
        or i.database_oid is distinct from (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        or (i.system_identifier is not null and $2::text is not null and i.system_identifier <> $2))
union all
select p.kind, p.name, '', '', 'paused', p.reason, p.since, null, null
  from rowbell.pause as p
union all
select 'circuit', c.channel, c.template, c.language, c.state::text, c.reason, c.since, c.probe_at, null
  from rowbell.circuit as c
 where c.state <> 'closed'
union all
select 'hold', h.watch, h.hold_id::text, '', 'held', h.reason, h.began_at, null, held.messages
  from rowbell.hold as h
 cross join lateral (
       select count(*) as messages
         from rowbell.queue as q
        where q.state = 'held' and q.watch = h.watch and q.hold_id = h.hold_id
  ) as held
 where held.messages > 0
union all
-- Looked at, and put off: they should go on to their next channel, and cannot yet.
select 'fallback', m.channel, '', '', 'waiting', f.reason_text, min(coalesce(m.sent_at, m.updated_at)), null, count(*)
  from rowbell.fallback as f
  join rowbell.message as m using (message_id)
 where f.reason_text is not null
 group by m.channel, f.reason_text
 order by kind, name, template, language;
