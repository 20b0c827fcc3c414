-- status_retries: reads why the latest messages that were tried in vain are tried again, most frequent first.
select count(*) as messages, coalesce(tried.reason_text, 'no reason known') as why
  from (
       select m.reason_text
         from rowbell.queue as q
         join rowbell.message as m using (message_id)
        where q.state = 'open' and m.attempt_count > 0
        order by q.message_id desc
        limit 1000
  ) as tried
 group by 2
 order by 1 desc, 2
 limit 3;
