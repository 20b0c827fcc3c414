-- pause_begin: pauses a channel or watch on behalf of a person; a pause that is there keeps its time.
--
-- $1 kind, $2 name: channel or watch, and its name
-- $3 reason: why
insert into rowbell.pause (kind, name, reason)
values ($1::text::rowbell.pause_kind, $2, $3)
    on conflict (kind, name) do update
   set reason = coalesce(excluded.reason, rowbell.pause.reason);
