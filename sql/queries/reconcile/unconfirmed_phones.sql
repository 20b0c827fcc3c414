-- unconfirmed_phones: to which phones attempts are unconfirmed at $1, on which channel and as which template.
select d.message_id, d.channel, d.phone, d.template
  from rowbell.unconfirmed_attempt as d
  join rowbell.message as m using (message_id)
 where m.state = 'unconfirmed' and d.decide_at > $1;
