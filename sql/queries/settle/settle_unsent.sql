-- settle_unsent: counts the attempts of messages that reached nobody: they use up no attempt.
--
-- Messages that have none are absent.
--
-- $1 message_ids: the messages
select a.message_id, count(*)
  from rowbell.attempt as a
 where a.message_id = any ($1)
   and a.result in ('not_sent', 'unreached')
 group by a.message_id;
