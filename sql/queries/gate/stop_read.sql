-- stop_read: everything that keeps messages of the channels $1 from leaving now, and those of them that the
-- daemon $5 may send on ("owner", with the epoch).
--
-- The rows of the latter stay locked until the caller has written what it leases: nobody else can become
-- the owner in between.
-- $2 environment of the configuration, $3 identifier of this server, if it may be read. A database that
-- was installed for another environment or server is a copy: see pipeline/gate/copy_guard.rs.
-- $4: storms that messages have joined since then may go on; see pipeline/claim/burst_hold.rs.
with mine as materialized (
    select c.channel, c.epoch
      from rowbell.channel as c
     where c.channel = any ($1) and c.owned_by = $5
       for share
)
select 'owner' as kind, mine.channel as name, mine.epoch::text as template, '' as language, '' as state,
       null::text as reason, null::timestamptz as since, null::timestamptz as probe_at
  from mine
union all
select 'circuit', c.channel, c.template, c.language, c.state::text, c.reason, c.since, c.probe_at
  from rowbell.circuit as c
 where c.channel = any ($1) and c.state <> 'closed'
union all
select p.kind, p.name, '', '', 'paused', p.reason, p.since, null
  from rowbell.pause as p
 where p.kind = 'watch' or p.name = any ($1)
union all
select 'hold', h.watch, h.hold_id::text, coalesce(h.transaction_id::text, ''), '', h.reason, h.last_joined_at, null
  from rowbell.hold as h
 where h.last_joined_at > $4
union all
select 'clone', i.environment, coalesce(i.system_identifier, ''), i.database_oid::text, '', null, i.updated_at, null
  from rowbell.installation as i
 where i.environment is not null
   and (i.environment <> $2
        or i.database_oid is distinct from (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        or (i.system_identifier is not null and $3::text is not null and i.system_identifier <> $3));
