-- retention_read: reads how far a task has come, and when it last began from the first id.
--
-- $1 task: a word of rowbell.retention_task
select r.done_to, r.began_at from rowbell.retention as r where r.task = $1::text::rowbell.retention_task;
