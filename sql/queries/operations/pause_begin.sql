-- pause_begin: a person stops the channel or watch ($1 kind, $2 name) for reason $3; a pause that is there
-- keeps its time.
insert into rowbell.pause (kind, name, reason)
values ($1::text::rowbell.pause_kind, $2, $3)
    on conflict (kind, name) do update
   set reason = coalesce(excluded.reason, rowbell.pause.reason);
