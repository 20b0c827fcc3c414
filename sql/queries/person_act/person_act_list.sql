-- person_act_list: reads what people did, latest first.
--
-- $1 message_id: of this message; null: of all
-- $2 limit: how many at most
select a.acted_at, a.decided_by, a.os_user, a.way::text, a.kind::text, a.watch, a.channel, a.hold_id, a.message_id, a.messages, a.reason
  from rowbell.person_act as a
 where $1::bigint is null or a.message_id = $1
 order by a.act_id desc
 limit $2;
