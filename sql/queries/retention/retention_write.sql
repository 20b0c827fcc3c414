-- retention_write: writes how far a task has come.
--
-- $1 task: a word of rowbell.retention_task
-- $2 done_to: the last id that it has done
-- $3 began_at: when it last began from the first id
-- $4 now: the time
insert into rowbell.retention as r (task, done_to, began_at, updated_at)
values ($1::text::rowbell.retention_task, $2, $3, $4)
    on conflict (task) do update
   set done_to    = excluded.done_to,
       began_at   = excluded.began_at,
       updated_at = excluded.updated_at;
