-- 02_change: what the triggers write, and the doorbell that they ring.

create type rowbell.change_operation as enum (
    'insert',
    'update',
    'delete'
);
comment on type rowbell.change_operation is 'What happened to the row.';


-- A captured change that is not folded into a message yet. Small by design: folding deletes the row.
--
-- No foreign keys, no CHECKs: nothing here may ever refuse the business transaction.
create table rowbell.change (
    -- Written first on purpose: taking the transaction id before the change id means that every
    -- change id below a limit belongs to a transaction id that was assigned before the limit was
    -- read. The claim relies on that when it moves its lower bound.
    transaction_id  xid8 not null default pg_current_xact_id(),
    change_id       bigint generated always as identity (cache 1) primary key,

    watch           text not null,
    entity_key      text,
    operation       rowbell.change_operation not null,
    old_row         jsonb,
    new_row         jsonb,

    changed_at      timestamptz not null default clock_timestamp(),
    changed_by      text not null default session_user,
    mute_reason     text,
    capture_error   text
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
comment on column rowbell.change.old_row is 'The watched, key and recipient columns before the change; null for an insert.';
comment on column rowbell.change.new_row is 'The same columns after the change; null for a delete.';
comment on column rowbell.change.changed_at is 'When the row was changed, by the clock of the server.';
comment on column rowbell.change.changed_by is 'Database user of the session that changed the row.';
comment on column rowbell.change.mute_reason is 'Set by "set local rowbell.mute = ''…''": the change counts as told and nothing is sent.';
comment on column rowbell.change.capture_error is 'Why the row could not be read by the trigger; the business transaction went through all the same.';


-- The doorbell. Its last value is 1 while a daemon is awake (it will look by itself) and 2 while
-- the daemon is parked (somebody has to ring). A sequence is read and set outside transactions and
-- snapshots, so that a writer in any isolation level sees the present.
create sequence rowbell.doorbell as smallint minvalue 1 maxvalue 2 start 1;
comment on sequence rowbell.doorbell is '1: the daemon is awake, writers need not ring. 2: it is parked, writers notify channel "rowbell".';
