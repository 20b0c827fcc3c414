-- fallback_due: up to $2 messages that may have to go to the next channel at $1, above the bound ($3, $4);
-- $5 WhatsApp's error code of an opt-out.
--
-- is_told: a newer message of the entity says it, or one of the same chain arrived after all.
-- is_stopped: errors have stopped the channel or the template that the message was to go by.
-- is_opt_out: WhatsApp refused it because the recipient has stopped messages of this business.
-- is_heard: something was heard of the channel since: of this message, or among the latest receipts.
with heard as materialized (
    select r.channel, max(r.received_at) as last_at
      from (
           select channel, received_at, source
             from rowbell.receipt
            order by receipt_id desc
            limit 1000
      ) as r
     where r.source <> 'timeout'
     group by r.channel
)
select f.message_id, f.cause::text, f.due_at, m.watch, m.channel, m.state::text, m.reason::text, m.fallback_of,
       exists (
           select
             from rowbell.message as other
            where other.watch = m.watch and other.entity_key = m.entity_key
              and ((other.message_id > m.message_id and other.state not in ('failed', 'skipped'))
                   or (coalesce(other.fallback_of, other.message_id) = coalesce(m.fallback_of, m.message_id)
                       and other.state in ('delivered', 'read')))
       ) as is_told,
       exists (
           select
             from rowbell.circuit as c
            where c.channel = m.channel and c.state <> 'closed'
              and (c.template = '' or (c.template = m.template and c.language = m.language))
       ) as is_stopped,
       exists (select from rowbell.attempt as a where a.message_id = m.message_id and a.error_code = $5)
       or exists (
           select
             from rowbell.receipt as r
            where r.provider_message_id = m.provider_message_id and r.error_code = $5
       ) as is_opt_out,
       exists (select from rowbell.receipt as r where r.provider_message_id = m.provider_message_id)
       or exists (
           select
             from heard as h
            where h.channel in (m.channel, '') and h.last_at >= coalesce(m.sent_at, m.updated_at)
       ) as is_heard
  from rowbell.fallback as f
  left join rowbell.message as m using (message_id)
 where f.due_at <= $1
   and (f.due_at, f.message_id) > ($3, $4)
 order by f.due_at, f.message_id
 limit $2
   for update of f skip locked;
