-- storm_open: opens a hold for a watch.
--
-- $1 watch: name of the watch
-- $2 transaction_id: the transaction that changed too many entities; null: too many changed within a minute
-- $3 reason: why, as a sentence
-- $4 now: the time
insert into rowbell.hold (watch, transaction_id, reason, began_at, last_joined_at)
values ($1, $2, $3, $4, $4)
returning hold_id;
