-- forget_range: reads the last id of the next messages above an id; null: there are none.
--
-- $1 above: only messages with ids above this
-- $2 limit: how many messages
select max(b.message_id) as last_id
  from (select m.message_id from rowbell.message as m where m.message_id > $1 order by m.message_id limit $2) as b;
