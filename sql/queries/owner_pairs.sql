-- owner_pairs: phones that channel $1 has written to lately, and when that is paid back at one message each $4
-- seconds; $2 the time, $3 since when attempts count.
--
-- What is paid back when: after the last of several messages, each moment plus the time for it and for all
-- that came after it. Phones that have paid back are absent.
select sent.phone, max(sent.left_at + sent.from_here * $4::double precision * interval '1 s') as paid_back_at
  from (
       select m.recipient_phone as phone,
              least(coalesce(a.finished_at, $2), $2) as left_at,
              count(*) over (
                  partition by m.recipient_phone
                  order by least(coalesce(a.finished_at, $2), $2) desc, a.message_id, a.number
              ) as from_here
         from rowbell.attempt as a
         join rowbell.message as m using (message_id)
        where a.started_at >= $3
          and m.channel = $1
          and a.result is distinct from 'not_sent'
          and m.recipient_phone is not null
  ) as sent
 group by sent.phone
having max(sent.left_at + sent.from_here * $4::double precision * interval '1 s') > $2;
