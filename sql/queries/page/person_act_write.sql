-- person_act_write: notes what a person did.
--
-- $1 decided_by: who
-- $2 kind: what
-- $3 watch, $4 hold_id, $5 message_id: about what; one of the last two is null
-- $6 messages: how many messages it was
-- $7 reason: why; null: nothing was said
-- $8 now: the time
insert into rowbell.person_act (decided_by, kind, watch, hold_id, message_id, messages, reason, acted_at)
values ($1, $2::text::rowbell.person_act_kind, $3, $4, $5, $6, $7, $8);
