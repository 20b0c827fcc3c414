-- attempt_keep_words: keeps the words of the last attempts of messages with those attempts: the messages are about to be
-- put into words anew.
--
-- $1 message_ids: the messages
update rowbell.attempt as a
   set template   = m.template,
       language   = m.language,
       parameters = m.parameters
  from rowbell.message as m
 where m.message_id = any ($1)
   and a.message_id = m.message_id and a.number = m.attempt_count;
