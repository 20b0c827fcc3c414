-- redact_messages: removes the personal data of messages, of their attempts and receipts.
--
-- What happened, when, how often and how it ended stays. No other channel is tried for them any more.
--
-- $1 message_ids: the messages
-- $2 now: the time
with fallbacks as (
    delete from rowbell.fallback as f where f.message_id = any ($1)
), unconfirmed as (
    delete from rowbell.unconfirmed_attempt as u where u.message_id = any ($1)
), attempts as (
    update rowbell.attempt as a
       set error_text = null,
           response   = null,
           parameters = case when a.parameters is not null then '[]'::jsonb end
     where a.message_id = any ($1)
       and (a.error_text is not null or a.response is not null or a.parameters is not null)
), receipts as (
    update rowbell.receipt as r
       set raw             = null,
           recipient_phone = null,
           error_text      = null
      from rowbell.attempt as a
     where a.message_id = any ($1)
       and r.provider_message_id = a.provider_message_id
       and (r.raw is not null or r.recipient_phone is not null or r.error_text is not null)
), replies as (
    update rowbell.reply as r
       set phone   = null,
           body    = null,
           payload = null
     where r.message_id = any ($1)
), known as (
    delete from rowbell.last_told as t
     using rowbell.message as m
     where m.message_id = any ($1)
       and t.watch = m.watch and t.entity_key = m.entity_key and t.message_id = m.message_id
)
update rowbell.message as m
   set old_row             = null,
       new_row             = null,
       recipient_key       = null,
       recipient_name      = null,
       recipient_phone     = null,
       recipient_locale    = null,
       recipient_time_zone = null,
       time_zone_source    = null,
       summary             = null,
       parameters          = case when m.parameters is not null then '[]'::jsonb end,
       redacted_at         = $2,
       updated_at          = $2,
       updated_by          = 'redact_messages'
 where m.message_id = any ($1)
   and m.state not in ('waiting', 'scheduled', 'held', 'sending')
returning m.message_id;
