-- unmatched_forget: ids that were named before $1 are no evidence of anything any more.
delete from rowbell.unmatched_receipt where received_at < $1;
