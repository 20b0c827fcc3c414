-- blockers_read: reads everything that keeps messages of some channels from leaving now, and the leases of this
-- daemon on them (kind lease, with the epoch). Columns that a kind does not have are null.
--
-- The rows of the leases stay locked until the caller has written what it sends: no other daemon can take
-- a lease in between. A database that was installed for another environment or server is a copy: see
-- pipeline/gate/copy_guard.rs. Storms within a minute that messages have joined lately may go on: see
-- pipeline/claim/burst_hold.rs.
--
-- $1 channels: names of the channels
-- $2 environment: environment of the configuration
-- $3 system_identifier: identifier of this server; null: it may not be read
-- $4 joined_since: only storms that a message has joined after this
-- $5 instance: the daemon that asks
with mine as materialized (
    select c.channel, c.epoch
      from rowbell.channel as c
     where c.channel = any ($1) and c.leased_by = $5
       for share
)
select 'lease' as kind, mine.channel, null::text as watch, mine.epoch,
       null::text as template, null::text as language, null::text as reason, null::timestamptz as probe_at,
       null::bigint as hold_id,
       null::text as environment, null::text as system_identifier, null::oid as database_oid
  from mine
union all
select 'circuit', c.channel, null, null, c.template, c.language, c.reason, c.probe_at, null, null, null, null
  from rowbell.circuit as c
 where c.channel = any ($1) and c.state <> 'closed'
union all
select 'pause', case when p.kind = 'channel' then p.name end, case when p.kind = 'watch' then p.name end,
       null, null, null, null, null, null, null, null, null
  from rowbell.pause as p
 where p.kind = 'watch' or p.name = any ($1)
union all
select 'hold', null, h.watch, null, null, null, null, null, h.hold_id, null, null, null
  from rowbell.hold as h
 where h.last_joined_at >= $4 and h.transaction_id is null
union all
select 'copy', null, null, null, null, null, null, null, null,
       i.environment, i.system_identifier, i.database_oid
  from rowbell.installation as i
 where i.environment is not null
   and (i.environment <> $2
        or i.database_oid is distinct from (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
        or (i.system_identifier is not null and $3::text is not null and i.system_identifier <> $3));
