-- catch_up_hold: opens a hold for what this transaction catches up with.
--
-- $1 watch: name of the watch
-- $2 reason: why, as a sentence
-- $3 now: the time
-- $4 entities: how many entities it is about
insert into rowbell.hold (watch, transaction_id, reason, began_at, last_joined_at, message_count)
values ($1, pg_current_xact_id()::text::bigint, $2, $3, $3, $4)
returning hold_id;
