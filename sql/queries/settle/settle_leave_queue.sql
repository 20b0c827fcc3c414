-- settle_leave_queue: message $1 waits for nothing any more.
delete from rowbell.queue where message_id = $1;
