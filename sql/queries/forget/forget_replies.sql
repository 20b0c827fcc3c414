-- forget_replies: removes what a person answered; that they did stays.
--
-- $1 phones: the phone in all its forms
update rowbell.reply
   set phone   = null,
       body    = null,
       payload = null
 where phone = any ($1)
returning reply_id;
