-- retention_read: how far task $1 has come, and when it last began from the first id.
select r.done_to, r.began_at from rowbell.retention as r where r.task = $1::text::rowbell.retention_task;
