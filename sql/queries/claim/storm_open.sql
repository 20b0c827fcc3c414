-- storm_open: a hold for watch $1, because of transaction $2 (null: too many within a minute), in the
-- words $3, at $4.
insert into rowbell.hold (watch, transaction_id, reason, began_at, last_joined_at)
values ($1, $2, $3, $4, $4)
returning hold_id;
