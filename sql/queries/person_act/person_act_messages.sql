-- person_act_messages: notes what a person did with messages, each for itself.
--
-- $1 decided_by, $2 os_user, $3 way: who, and how
-- $4 kind: what
-- $5 message_ids: the messages
-- $6 reason: why; null: nothing was said
-- $7 now: the time
insert into rowbell.person_act (decided_by, os_user, way, kind, watch, message_id, messages, reason, acted_at)
select $1, $2, $3::text::rowbell.person_act_way, $4::text::rowbell.person_act_kind, m.watch, m.message_id, 1, $6, $7
  from rowbell.message as m
 where m.message_id = any ($5)
 order by m.message_id;
