-- forget_range: the last id of the next $2 messages above id $1; null: there are none.
select max(b.message_id) as last_id
  from (select m.message_id from rowbell.message as m where m.message_id > $1 order by m.message_id limit $2) as b;
