-- fallback_await: the messages $1 may have to go to the next channel of their watch, because of $2, at $3.
--
-- Certainty comes before waiting: what failed is looked at now, whatever it waited for before.
insert into rowbell.fallback as f (message_id, cause, due_at)
select id, $2::text::rowbell.fallback_cause, $3
  from unnest($1::bigint[]) as id
    on conflict (message_id) do update
   set cause  = excluded.cause,
       due_at = excluded.due_at
 where excluded.cause <> 'undelivered';
