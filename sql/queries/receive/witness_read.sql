-- witness_read: what can tell of the receipts of each channel.
select w.channel, w.witness, w.state, w.since, w.heard_at, w.detail
  from rowbell.witness as w;
