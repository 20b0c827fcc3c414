-- status_muted: reads how many of the latest messages were muted, and what was most often said of it and by whom.
--
-- $1 since: only messages opened since this moment
-- $2 limit: how many messages are looked at
select count(*) as messages,
       count(*) filter (where m.reason = 'muted') as muted,
       mode() within group (order by m.reason_text) filter (where m.reason = 'muted') as most_often
  from (select l.reason, l.reason_text, l.created_at
          from rowbell.message as l
         order by l.message_id desc
         limit $2) as m
 where m.created_at >= $1;
