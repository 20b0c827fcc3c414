-- receipt_source_write: writes the state of a receipt source. One that works has brought something now.
--
-- $1 channel: name of the channel
-- $2 kind: a word of rowbell.receipt_source_kind
-- $3 state: a word of rowbell.receipt_source_state
-- $4 detail: what is wrong, as a sentence
-- $5 now: the time
insert into rowbell.receipt_source as s (channel, kind, state, detail, since, last_worked_at)
values ($1, $2::text::rowbell.receipt_source_kind, $3::text::rowbell.receipt_source_state, $4, $5::timestamptz, case when $3 = 'works' then $5 end)
    on conflict (channel, kind) do update
   set state          = excluded.state,
       detail         = excluded.detail,
       since          = case when s.state = excluded.state then s.since else excluded.since end,
       last_worked_at = coalesce(excluded.last_worked_at, s.last_worked_at);
