-- unconfirmed_close: nothing more is looked for about attempt $2 of message $1.
delete from rowbell.unconfirmed_attempt where message_id = $1 and number = $2;
