-- doubt_phones: to which phones a request is in doubt on channel $1, and as which template.
select d.message_id, d.phone, d.template
  from rowbell.doubt as d
  join rowbell.message as m using (message_id)
 where d.channel = $1 and m.state = 'unconfirmed' and d.decide_at > $2;
