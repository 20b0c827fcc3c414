-- retention_write: task $1 has come as far as $2, having begun at $3; $4 the time.
insert into rowbell.retention as r (task, done_to, began_at, updated_at)
values ($1::text::rowbell.retention_task, $2, $3, $4)
    on conflict (task) do update
   set done_to    = excluded.done_to,
       began_at   = excluded.began_at,
       updated_at = excluded.updated_at;
