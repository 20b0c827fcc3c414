-- reply_join: joins replies to messages that have learned their ids since. Gives how many.
with late as (
    select r.reply_id, a.message_id
      from rowbell.reply as r
     cross join lateral (
           select a.message_id
             from rowbell.attempt as a
            where a.provider_message_id = r.context_id
            order by a.message_id
            limit 1
      ) as a
     where r.message_id is null
     order by r.reply_id
       for update of r skip locked
)
update rowbell.reply as r
   set message_id = l.message_id
  from late as l
 where r.reply_id = l.reply_id
returning r.reply_id;
