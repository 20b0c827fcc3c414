-- fallback_await: schedules the decision whether messages go on to the next channel of their watch.
--
-- Certainty comes before waiting: a message that failed is decided now, whatever it waited for before.
--
-- $1 message_ids: the messages
-- $2 cause: why they may have to go on; a word of rowbell.fallback_cause
-- $3 due_at: when that is decided
insert into rowbell.fallback as f (message_id, cause, due_at)
select id, $2::text::rowbell.fallback_cause, $3
  from unnest($1::bigint[]) as id
    on conflict (message_id) do update
   set cause  = excluded.cause,
       due_at = excluded.due_at
 where excluded.cause <> 'undelivered';
