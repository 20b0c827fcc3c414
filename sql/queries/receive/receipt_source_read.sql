-- receipt_source_read: what can tell of the receipts of each channel.
select w.channel, w.kind::text, w.state::text, w.since, w.heard_at, w.detail
  from rowbell.receipt_source as w;
