-- person_act_hold: notes what a person did with messages of a hold.
--
-- $1 decided_by, $2 os_user, $3 way: who, and how
-- $4 kind: what
-- $5 watch, $6 hold_id: the hold
-- $7 messages: how many messages it was
-- $8 reason: why; null: nothing was said
-- $9 now: the time
insert into rowbell.person_act (decided_by, os_user, way, kind, watch, hold_id, messages, reason, acted_at)
values ($1, $2, $3::text::rowbell.person_act_way, $4::text::rowbell.person_act_kind, $5, $6, $7, $8, $9);
