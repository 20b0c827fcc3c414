-- told_settle: brings the ledger in line with what is known of the attempts of messages, after they were moved.
--
-- What was refused or did not arrive was not told: its entry goes. What nobody knows stays as possible.
--
-- $1 message_ids: the messages
-- $2 silent_channels: the channels of which nothing is heard after they accepted a message
with settled as (
    select t.watch, t.entity_key, t.recipient_key, t.message_id, t.attempt,
           case when a.result is null then 'sending'
                when a.result = 'dry_run' then 'rehearsed'
                when a.result in ('refused', 'not_sent', 'unreached') then null
                -- By the attempt whose id the evidence named; of others nobody knows.
                when m.state in ('delivered', 'read') and a.provider_message_id = m.provider_message_id then 'arrived'
                -- A person says so.
                when m.state = 'delivered' and m.confirmed_by is not null and a.number = m.attempt_count then 'arrived'
                when a.result = 'unknown' and m.state = 'unconfirmed' and a.number = m.attempt_count then 'unconfirmed'
                when a.result = 'unknown' then 'possible'
                when m.state = 'sent' and a.number = m.attempt_count
                then case when m.channel = any ($2::text[]) then 'arrived' else 'accepted' end
                when m.state in ('delivered', 'read') then 'possible'
           end as status
      from rowbell.message as m
      join rowbell.last_told as t
        on t.watch = m.watch and t.entity_key = m.entity_key and t.message_id = m.message_id and t.attempt > 0
      join rowbell.attempt as a on a.message_id = t.message_id and a.number = t.attempt
     where m.message_id = any ($1)
), changed as (
    update rowbell.last_told as t
       set status = s.status::rowbell.told_status
      from settled as s
     where t.watch = s.watch and t.entity_key = s.entity_key and t.recipient_key = s.recipient_key
       and t.message_id = s.message_id and t.attempt = s.attempt
       and s.status is not null and t.status <> s.status::rowbell.told_status
)
delete from rowbell.last_told as t
 using settled as s
 where t.watch = s.watch and t.entity_key = s.entity_key and t.recipient_key = s.recipient_key
   and t.message_id = s.message_id and t.attempt = s.attempt
   and s.status is null;
