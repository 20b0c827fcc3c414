-- doubt_note: a step of seeking evidence about attempt $2 of message $1: $3 way, $4 what came of it, $5 id; $6 the time.
insert into rowbell.inquiry (message_id, number, way, found, provider_message_id, asked_at)
values ($1, $2, $3, $4, $5, $6);
