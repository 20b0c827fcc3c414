-- 02_capture: what the triggers write, and the doorbell that they ring.

create type rowbell.change_operation as enum (
    'insert',
    'update',
    'delete'
);
comment on type rowbell.change_operation is 'What happened to the row.';


-- The columns whose values the changes of a watch carry. Naming every column in every change would cost
-- the writers more than anything else that the trigger does: so a change carries values only, and a layout
-- says once which columns they belong to. "rowbell watch" writes one when it makes a trigger, and none is
-- ever changed: changes that an earlier trigger wrote stay readable.
create table rowbell.layout (
    layout_id   bigint primary key,
    watch       text collate "C" not null,
    columns     text[] not null,
    -- Follows the table when it is renamed: two tables may swap their names.
    captured_from regclass not null,
    created_at  timestamptz not null default now()
);
comment on table  rowbell.layout is 'Which columns the values of a captured change belong to. Written by "rowbell watch", never changed.';
comment on column rowbell.layout.layout_id is 'Made of the watch, its table and its columns, so that the same columns give the same id.';
comment on column rowbell.layout.watch is 'Name of the watch.';
comment on column rowbell.layout.columns is 'The key, watched and needed columns, in the order of the values.';
comment on column rowbell.layout.captured_from is 'The table whose trigger writes such values. Changes of a table that the watch is not about any more are told to nobody.';
comment on column rowbell.layout.created_at is 'When a trigger was first made with these columns.';


-- A captured change that is not folded into a message yet. Small by design: folding deletes the row.
--
-- No foreign keys, no CHECKs: nothing here may ever refuse the business transaction.
create table rowbell.change (
    -- Written first on purpose: taking the transaction id before the change id means that every
    -- change id below a limit belongs to a transaction id that was assigned before the limit was
    -- read. The claim relies on that when it moves its lower bound.
    transaction_id  xid8 not null default pg_current_xact_id(),
    change_id       bigint generated always as identity (cache 1),

    watch           text collate "C" not null,
    entity_key      text collate "C",
    operation       rowbell.change_operation not null,

    -- The rows before and after: as values in the order of a layout, or under the names of the columns.
    layout_id       bigint,
    captured        jsonb,
    old_row         jsonb,
    new_row         jsonb,

    changed_at      timestamptz not null default clock_timestamp(),
    changed_by      text not null default coalesce(
                        nullif(current_setting('rowbell.actor', true), ''),
                        concat(session_user, ' (' || nullif(current_setting('application_name'), '') || ')')
                    ),
    mute_reason     text default nullif(current_setting('rowbell.mute', true), ''),
    capture_error   text,

    -- Claim goes through each watch by itself, so that none waits behind another.
    primary key (watch, change_id)
)
with (
    -- Rows live for milliseconds. Vacuum by count, not by share, and often.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 50000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0
);
comment on table  rowbell.change is 'A captured change that is not yet folded into a message. Rows are deleted when they are folded.';
comment on column rowbell.change.transaction_id is 'The business transaction that made the change.';
comment on column rowbell.change.change_id is 'Order of capture. Not the order of commit.';
comment on column rowbell.change.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell.change.entity_key is 'Primary key of the row before the change, as text; parts of a composite key are joined by commas (a comma or backslash inside a part has a backslash before it). Null only when the capture failed.';
comment on column rowbell.change.operation is 'insert, update or delete.';
comment on column rowbell.change.layout_id is 'The layout that names the table, and the values in captured.';
comment on column rowbell.change.captured is 'The values of the layout''s columns before the change, then those after it, in one array; an insert has only the latter, a delete only the former. Null where the rows stand in old_row and new_row. Read it through rowbell.change_row.';
comment on column rowbell.change.old_row is 'The watched, key and recipient columns before the change, where the trigger had to look them up by name; null otherwise and for an insert.';
comment on column rowbell.change.new_row is 'The same columns after the change; null otherwise and for a delete.';
comment on column rowbell.change.changed_at is 'When the row was changed, by the clock of the server.';
comment on column rowbell.change.changed_by is 'Who changed the row: the setting rowbell.actor of the session; where it has none, its database user with the application_name in brackets.';
comment on column rowbell.change.mute_reason is 'Set by "set local rowbell.mute = ''why''": the change counts as told and nothing is sent.';
comment on column rowbell.change.capture_error is 'Why the row could not be read by the trigger; the business transaction went through all the same.';


-- What compose asks: is there a muted change of this entity that claim has not seen yet? Only muted changes pay.
create index change_muted_idx on rowbell.change using hash (entity_key) where mute_reason is not null;


-- Table and columns of layouts, by their ids.
create function rowbell.layouts_of(layout_ids bigint[]) returns jsonb
language sql stable
as $$
    select jsonb_object_agg(l.layout_id, jsonb_build_object(
               'columns', l.columns, 'table_oid', c.oid::bigint, 'table', format('%I.%I', s.nspname, c.relname)))
      from rowbell.layout as l
      left join (pg_class as c join pg_namespace as s on s.oid = c.relnamespace) on c.oid = l.captured_from
     where l.layout_id = any (layout_ids)
$$;
comment on function rowbell.layouts_of(bigint[]) is 'Table and columns of layouts, by their ids.';


-- The changes with their rows under the names of the columns, whichever way they were captured.
create view rowbell.change_row as
select c.change_id, c.watch, c.entity_key, c.operation,
       coalesce(c.old_row, before.captured) as old_row,
       coalesce(c.new_row, after.captured) as new_row,
       c.changed_at, c.changed_by, c.mute_reason, c.capture_error
  from rowbell.change as c
  left join rowbell.layout as l on l.layout_id = c.layout_id
  left join lateral (
       select jsonb_object_agg(n.name, c.captured -> (n.place::integer - 1)) as captured
         from unnest(l.columns) with ordinality as n (name, place)
        where c.operation <> 'insert' and c.captured is not null
  ) as before on true
  left join lateral (
       select jsonb_object_agg(
                  n.name,
                  c.captured -> (n.place::integer - 1 + case c.operation when 'update' then cardinality(l.columns) else 0 end)
              ) as captured
         from unnest(l.columns) with ordinality as n (name, place)
        where c.operation <> 'delete' and c.captured is not null
  ) as after on true;
comment on view   rowbell.change_row is 'Changes that are not folded yet, with their rows before and after. See rowbell.change.';
comment on column rowbell.change_row.change_id is 'Order of capture.';
comment on column rowbell.change_row.watch is 'Name of the watch.';
comment on column rowbell.change_row.entity_key is 'Primary key of the row before the change, as text.';
comment on column rowbell.change_row.operation is 'insert, update or delete.';
comment on column rowbell.change_row.old_row is 'The watched, key and recipient columns before the change; null for an insert.';
comment on column rowbell.change_row.new_row is 'The same columns after the change; null for a delete.';
comment on column rowbell.change_row.changed_at is 'When the row was changed, by the clock of the server.';
comment on column rowbell.change_row.changed_by is 'Who changed the row: the setting rowbell.actor, or the database user with the application_name in brackets.';
comment on column rowbell.change_row.mute_reason is 'Why the change counts as told and nothing is sent.';
comment on column rowbell.change_row.capture_error is 'Why the row could not be read by the trigger.';


-- A value that can be read: bytes that are no text, as "char" may hold them, become \ooo, as PostgreSQL 15 and later
-- write them. Only value::bytea takes the bytes of a text as they are.
create function rowbell.readable(value jsonb) returns jsonb
language plpgsql immutable strict set search_path = pg_catalog, pg_temp
as $$
begin
    perform convert_to(value::text, 'UTF8');
    return value;
exception when character_not_in_repertoire then
    return replace(replace(replace(
               encode(replace(value::text, E'\\', E'\\\\')::bytea, 'escape'),
               E'\\\\', E'\x01'), E'\\', E'\\\\'), E'\x01', E'\\')::jsonb;
end
$$;
comment on function rowbell.readable(jsonb) is
    'A value whose bytes that are no text in UTF-8 are written as \ooo.';


-- All columns of a row by their names, in one form whatever the session of the writer is set to. Triggers call it when
-- a table no longer is what it was when they were made: what its columns need is not known then.
create function rowbell.whole_row(this record) returns jsonb
language plpgsql strict
set TimeZone = 'UTC' set DateStyle = 'ISO, MDY' set IntervalStyle = 'postgres'
set extra_float_digits = '1' set bytea_output = 'hex'
as $$
begin
    return (select pg_catalog.jsonb_object_agg(c.key, rowbell.readable(c.value))
              from pg_catalog.jsonb_each(pg_catalog.to_jsonb(this)) as c);
end
$$;
comment on function rowbell.whole_row(record) is
    'All columns of a row by their names, in one form whatever the session is set to.';


-- Records a change with every column looked up by its name; one that is gone is null. Triggers call
-- it when a table no longer is what it was when they were made: a column was
-- renamed or dropped, or has another type.
--
-- Called by the trigger functions only, which run with the rights of their owner.
create function rowbell.capture_by_name(
    watch text, layout bigint, key_columns text[], watched text[], captured text[], operation text, was jsonb, is_now jsonb
) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    if was is not null and is_now is not null and not exists (
        select
          from unnest(key_columns || watched) as c (name)
         where was -> c.name is distinct from is_now -> c.name
    ) then
        return;
    end if;
    insert into rowbell.change (watch, layout_id, entity_key, operation, old_row, new_row)
    values (
        watch,
        layout,
        case cardinality(key_columns)
            when 1 then coalesce(was, is_now) ->> key_columns[1]
            else (select string_agg(
                             replace(replace(coalesce(was, is_now) ->> k.name, E'\\', E'\\\\'), ',', E'\\,'),
                             ',' order by k.place
                         )
                    from unnest(key_columns) with ordinality as k (name, place))
        end,
        operation::rowbell.change_operation,
        (select jsonb_object_agg(c.name, was -> c.name) from unnest(captured) as c (name) where was is not null),
        (select jsonb_object_agg(c.name, is_now -> c.name) from unnest(captured) as c (name) where is_now is not null)
    );
end
$$;
comment on function rowbell.capture_by_name(text, bigint, text[], text[], text[], text, jsonb, jsonb) is
    'Records a change of a table that is no longer what it was when its trigger was made: columns are looked up by name.';


-- Counts the changes that triggers dropped because there was no room for them (capture.on_full = "drop"): a sequence
-- is written in place.
create sequence rowbell.dropped;
comment on sequence rowbell.dropped is 'How many changes were dropped because there was no room to write them down.';

create type rowbell.gap_cause as enum (
    'no_trigger',  -- the trigger was missing or disabled
    'dropped'      -- there was no room to write changes down
);
comment on type rowbell.gap_cause is 'Why nothing was captured.';

-- Times in which a watch captured nothing, as the daemon noticed them.
create table rowbell.gap (
    gap_id         bigint generated always as identity primary key,
    watch          text collate "C" not null,
    cause          rowbell.gap_cause not null,
    began_at       timestamptz not null,
    ended_at       timestamptz,
    dropped_until  bigint,
    caught_up_at   timestamptz
);
comment on table  rowbell.gap is 'Times in which a watch captured nothing. "rowbell catch-up" tells afterwards what people do not know.';
comment on column rowbell.gap.gap_id is 'Key.';
comment on column rowbell.gap.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell.gap.cause is 'no_trigger: its trigger was missing or disabled. dropped: changes, of whatever watch, were dropped.';
comment on column rowbell.gap.began_at is 'When it was noticed; the daemon looks once a minute.';
comment on column rowbell.gap.ended_at is 'When changes were captured again, as far as noticed; null: they are not.';
comment on column rowbell.gap.dropped_until is 'How many changes were dropped in all by then.';
comment on column rowbell.gap.caught_up_at is 'When somebody caught up with the whole watch; null: nobody has.';


-- The doorbell. Its last value is 1 while a daemon is awake (it will look by itself) and 2 while
-- the daemon is parked (somebody has to ring). A sequence is read and set outside transactions and
-- snapshots, so that a writer in any isolation level sees the present.
create sequence rowbell.doorbell as smallint minvalue 1 maxvalue 2 start 1;
comment on sequence rowbell.doorbell is '1: the daemon is awake, writers need not ring. 2: it is parked, writers notify channel "rowbell".';
