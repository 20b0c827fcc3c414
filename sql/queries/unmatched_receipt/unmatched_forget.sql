-- unmatched_forget: removes old unmatched receipts: they are no evidence of anything any more.
--
-- $1 before: only receipts that came before this
delete from rowbell.unmatched_receipt where received_at < $1;
