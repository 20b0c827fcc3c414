-- person_act_other: notes what a person did with a watch, a channel, this database or the data of somebody.
--
-- $1 decided_by, $2 os_user, $3 way: who, and how
-- $4 kind: what
-- $5 watch, $6 channel: with which
-- $7 messages: how many messages it changed
-- $8 reason: why; null: nothing was said
-- $9 now: the time
insert into rowbell.person_act (decided_by, os_user, way, kind, watch, channel, messages, reason, acted_at)
values ($1, $2, $3::text::rowbell.person_act_way, $4::text::rowbell.person_act_kind, $5, $6, $7, $8, $9);
