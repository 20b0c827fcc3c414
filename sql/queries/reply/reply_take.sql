-- reply_take: stores what customers answered, each once; joins it to the message that it quotes. Gives how many are new.
--
-- $1 reply_ids, $2 context_ids: their ids at the provider, and those of the messages that they answer
-- $3 kinds, $4 phones, $5 bodies, $6 payloads, $7 written_ats: of each
-- $8 channel: where they were written
-- $9 now: the time
insert into rowbell.reply (
    channel, provider_reply_id, context_id, message_id, kind, phone, body, payload, written_at, received_at
)
select $8, r.reply_id, r.context_id, a.message_id, r.kind::rowbell.reply_kind, r.phone, r.body, r.payload, r.written_at, $9
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
       with ordinality as r (reply_id, context_id, kind, phone, body, payload, written_at, place)
  left join lateral (
       select a.message_id
         from rowbell.attempt as a
        where a.provider_message_id = r.context_id
        order by a.message_id
        limit 1
  ) as a on true
 order by r.place
    on conflict on constraint each_reply_once do nothing
returning reply_id;
