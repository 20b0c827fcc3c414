-- reply_drop: removes replies that answer no message of ours, but one of somebody else on the same number.
--
-- $1 before: those that came in before
delete from rowbell.reply
 where message_id is null and received_at < $1
returning reply_id;
