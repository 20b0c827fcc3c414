-- fallback_due: takes messages for which a fallback to the next channel has to be decided now.
--
-- is_told: a newer message of the entity says it to the recipient, or one of the same chain arrived after all.
-- is_circuit_open: errors have opened the circuit of the channel or of the template of the message.
-- is_opt_out: WhatsApp refused it because the recipient has stopped messages of this business.
-- has_receipts: receipts of the channel came since: about this message, or among the latest receipts.
--
-- $1 now: the time
-- $2 limit: how many messages at most
-- $3 above_due_at, $4 above_message_id: only messages beyond this bound, in the order of due_at and message_id
-- $5 opt_out_code: WhatsApp's error code of an opt-out
with latest_receipt as materialized (
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
              and (other.recipient_key is null or m.recipient_key is null or other.recipient_key = m.recipient_key)
              and ((other.message_id > m.message_id and other.state not in ('failed', 'skipped'))
                   or (coalesce(other.fallback_of, other.message_id) = coalesce(m.fallback_of, m.message_id)
                       and other.state in ('delivered', 'read')))
       ) as is_told,
       exists (
           select
             from rowbell.circuit as c
            where c.channel = m.channel and c.state <> 'closed'
              and (c.template = '' or (c.template = m.template and c.language = m.language))
       ) as is_circuit_open,
       exists (select from rowbell.attempt as a where a.message_id = m.message_id and a.error_code = $5)
       or exists (
           select
             from rowbell.receipt as r
            where r.provider_message_id = m.provider_message_id and r.error_code = $5
       ) as is_opt_out,
       exists (select from rowbell.receipt as r where r.provider_message_id = m.provider_message_id)
       or exists (
           select
             from latest_receipt as l
            where l.channel in (m.channel, '') and l.last_at >= coalesce(m.sent_at, m.updated_at)
       ) as has_receipts
  from rowbell.fallback as f
  left join rowbell.message as m using (message_id)
 where f.due_at <= $1
   and (f.due_at, f.message_id) > ($3, $4)
 order by f.due_at, f.message_id
 limit $2
   for update of f skip locked;
