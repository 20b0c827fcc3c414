-- circuit_take_back: messages $1 were refused in a burst of errors that stopped their channel or
-- template ($5 and its language $6; empty: the channel), so the fault is not theirs; they are due again at $2,
-- $3 says why, $4 is the time.
--
-- Left as they are: those that a later message of their entity speaks for.
with chosen as (
    select m.message_id, m.channel, m.watch, m.entity_key
      from rowbell.message as m
     where m.message_id = any ($1)
       and m.state = 'failed'
       and m.reason in ('undeliverable', 'rejected')
       and not exists (
           select
             from rowbell.message as later
            where later.watch = m.watch and later.entity_key = m.entity_key
              and later.message_id > m.message_id
              and later.state not in ('failed', 'skipped')
       )
       for update of m
), queued as (
    insert into rowbell.queue (message_id, channel, watch, entity_key, state, due_at)
    select c.message_id, c.channel, c.watch, c.entity_key, 'open', $2
      from chosen as c
        on conflict do nothing
 returning message_id
)
update rowbell.message as m
   set state              = 'scheduled',
       reason             = null,
       reason_text        = $3,
       waits_for          = 'burst_retry',
       waits_for_template = nullif($5, ''),
       waits_for_language = nullif($6, ''),
       due_at             = $2,
       finished_at        = null,
       updated_at         = $4,
       updated_by         = 'circuit_take_back'
  from queued as q
 where m.message_id = q.message_id
returning m.message_id;
