-- doubt_close: nothing more is sought about attempt $2 of message $1.
delete from rowbell.doubt where message_id = $1 and number = $2;
