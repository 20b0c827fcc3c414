-- receipt_source_read: reads how each way works on which receipts of a channel come.
select s.channel, s.kind::text, s.state::text, s.since, s.last_worked_at, s.detail
  from rowbell.receipt_source as s;
