-- explain_messages: reads the last messages of an entity, latest first.
--
-- $1 watch, $2 entity_key: the entity
-- $3 limit: how many messages at most
-- $4 message_id: only this one; null: any
select m.message_id, m.state::text, m.reason::text,
       case when m.redacted_at is null then m.reason_text
            else concat_ws('; ', m.reason_text, 'its personal data was removed on ' || (m.redacted_at at time zone 'UTC')::date)
       end as reason_text,
       m.operation::text, m.change_count, m.recipient_key, m.changed_by,
       m.first_changed_at, m.last_changed_at, m.created_at, m.old_row, m.new_row,
       m.channel, m.template, m.language, m.recipient_name, m.recipient_phone, m.recipient_locale,
       m.recipient_time_zone, m.time_zone_source, m.summary,
       case when m.redacted_at is null then m.parameters end as parameters,
       -- An unconfirmed message has its time in the queue only: then the policy of its watch decides.
       coalesce(m.due_at, q.due_at) as due_at,
       m.fallback_of, f.due_at as fallback_due_at, f.waits_for::text as fallback_waits_for,
       m.provider_message_id, m.sent_at, m.delivered_at, m.read_at, m.finished_at
  from rowbell.message as m
  left join rowbell.queue as q using (message_id)
  left join rowbell.fallback as f using (message_id)
 where m.watch = $1 and m.entity_key = $2
   and ($4::bigint is null or m.message_id = $4)
 order by m.message_id desc
 limit $3;
