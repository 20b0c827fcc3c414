-- poll_enroll: message $1 on channel $2 was accepted, by an answer or evidence that came late, at $3: ask for its
-- end at $4 if the provider of the channel can be asked ($5 names those).
insert into rowbell.poll (channel, message_ids, accepted_at, due_at)
select $2::text, array[$1::bigint], $3::timestamptz, $4::timestamptz
 where $2::text = any ($5::text[]);
