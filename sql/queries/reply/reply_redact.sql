-- reply_redact: removes the words of old replies, also of those that came to a message that was redacted before.
--
-- $1 before: those that came in before
-- $2 limit: how many
with old as (
    select r.reply_id
      from rowbell.reply as r
     where r.received_at < $1 and (r.phone is not null or r.body is not null or r.payload is not null)
     order by r.reply_id
     limit $2
       for update skip locked
)
update rowbell.reply as r
   set phone   = null,
       body    = null,
       payload = null
  from old as o
 where r.reply_id = o.reply_id
returning r.reply_id;
