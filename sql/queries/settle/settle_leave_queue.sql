-- settle_leave_queue: takes a message out of the queue: it waits for nothing any more.
--
-- $1 message_id: the message
delete from rowbell.queue where message_id = $1;
