-- retry_find: finds the last messages that did not leave, or may not have.
--
-- $1 watch: only messages of this watch; null: of any
-- $2 reasons: only for these reasons; null: for any; unconfirmed counts as one
-- $3 since: only messages that were opened since this moment
-- $4 limit: how many messages at most; null: all
select m.message_id
  from rowbell.message as m
 where m.message_id >= (select rowbell.first_message_since($3))
   and m.created_at >= $3
   and m.state in ('failed', 'skipped', 'unconfirmed')
   and ($1::text is null or m.watch = $1)
   and ($2::text[] is null or coalesce(m.reason::text, m.state::text) = any ($2))
 order by m.message_id desc
 limit $4;
