-- told_assume: notes the row before the changes that messages were to tell and did not: later messages start from it,
-- for all who know no other row and whom the recipient query names for it.
--
-- $1 message_ids: the messages
insert into rowbell.last_told (watch, entity_key, recipient_key, message_id, attempt, first_message_id, status, told_at, row)
select m.watch, m.entity_key, '', m.message_id, 0, m.message_id, 'assumed', m.first_changed_at, m.old_row
  from rowbell.message as m
 where m.message_id = any ($1)
   and (m.state = 'failed'
        or m.reason in ('opted_out', 'no_recipient', 'bad_phone', 'bad_email', 'outside_only_to', 'stale', 'superseded',
                        'discarded', 'dry_run')
        -- A digest only counts it.
        or (m.state = 'sending'
            and not exists (
                select
                  from rowbell.last_told as t
                 where t.watch = m.watch and t.entity_key = m.entity_key
                   and t.message_id = m.message_id and t.attempt = m.attempt_count
            )))
   -- Without a row before, only an insert tells what was known: nothing.
   and (m.old_row is not null or m.operation = 'insert')
   and not exists (
       select
         from rowbell.last_told as t
        where t.watch = m.watch and t.entity_key = m.entity_key
          and ((t.recipient_key = '' and t.told_at <= m.first_changed_at)
               or (t.recipient_key = m.recipient_key
                   and t.status in ('silenced', 'unconfirmed', 'accepted', 'arrived')))
   )
    on conflict do nothing;
