-- 15_capture: what a trigger writes gets smaller and cheaper for the writer.
--
-- Naming every column in every change cost the writers more than anything else that the trigger
-- does. So a change carries values only, and a layout says once which columns they belong to.

-- The columns whose values the changes of a watch carry. "rowbell watch" writes one when it makes a
-- trigger, and none is ever changed: changes that an earlier trigger wrote stay readable.
create table rowbell.layout (
    layout_id   bigint primary key,
    watch       text not null,
    columns     text[] not null,
    created_at  timestamptz not null default now()
);
comment on table  rowbell.layout is 'Which columns the values of a captured change belong to. Written by "rowbell watch", never changed.';
comment on column rowbell.layout.layout_id is 'Made of the watch and its columns, so that the same columns give the same id.';
comment on column rowbell.layout.watch is 'Name of the watch.';
comment on column rowbell.layout.columns is 'The key, watched and needed columns, in the order of the values.';
comment on column rowbell.layout.created_at is 'When a trigger was first made with these columns.';

alter table rowbell.change
    add column layout_id bigint,
    add column captured  jsonb;
comment on column rowbell.change.layout_id is 'The layout that names the values in captured; null where the rows stand in old_row and new_row.';
comment on column rowbell.change.captured is 'The values of the layout''s columns before the change, then those after it, in one array; an insert has only the latter, a delete only the former. Read it through rowbell.change_row.';
comment on column rowbell.change.old_row is 'The watched, key and recipient columns before the change, where the trigger had to look them up by name; null otherwise and for an insert.';
comment on column rowbell.change.new_row is 'The same columns after the change; null otherwise and for a delete.';


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
        where c.operation <> 'insert'
  ) as before on true
  left join lateral (
       select jsonb_object_agg(
                  n.name,
                  c.captured -> (n.place::integer - 1 + case c.operation when 'update' then cardinality(l.columns) else 0 end)
              ) as captured
         from unnest(l.columns) with ordinality as n (name, place)
        where c.operation <> 'delete'
  ) as after on true;
comment on view   rowbell.change_row is 'Changes that are not folded yet, with their rows before and after. See rowbell.change.';
comment on column rowbell.change_row.change_id is 'Order of capture.';
comment on column rowbell.change_row.watch is 'Name of the watch.';
comment on column rowbell.change_row.entity_key is 'Primary key of the row before the change, as text.';
comment on column rowbell.change_row.operation is 'insert, update or delete.';
comment on column rowbell.change_row.old_row is 'The watched, key and recipient columns before the change; null for an insert.';
comment on column rowbell.change_row.new_row is 'The same columns after the change; null for a delete.';
comment on column rowbell.change_row.changed_at is 'When the row was changed, by the clock of the server.';
comment on column rowbell.change_row.changed_by is 'Database user of the session that changed the row.';
comment on column rowbell.change_row.mute_reason is 'Why the change counts as told and nothing is sent.';
comment on column rowbell.change_row.capture_error is 'Why the row could not be read by the trigger.';


-- The careful way to record a change: every column is looked up by its name, and one that is gone is
-- null. Triggers go this way when a table no longer is what it was when they were made: a column was
-- renamed or dropped, or has another type.
--
-- Called by the trigger functions only, which run with the rights of their owner.
create function rowbell.capture_by_name(
    watch text, key_columns text[], watched text[], captured text[], operation text, was jsonb, is_now jsonb
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
    insert into rowbell.change (watch, entity_key, operation, old_row, new_row, mute_reason)
    values (
        watch,
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
        (select jsonb_object_agg(c.name, is_now -> c.name) from unnest(captured) as c (name) where is_now is not null),
        nullif(current_setting('rowbell.mute', true), '')
    );
end
$$;
comment on function rowbell.capture_by_name(text, text[], text[], text[], text, jsonb, jsonb) is
    'Records a change of a table that is no longer what it was when its trigger was made: columns are looked up by name.';
