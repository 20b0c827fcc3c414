-- receipt_source_write: receipt source $2 of channel $1 is in state $3 (detail $4) at $5; it told something if it works.
insert into rowbell.receipt_source as w (channel, kind, state, detail, since, heard_at)
values ($1, $2::text::rowbell.receipt_source_kind, $3::text::rowbell.receipt_source_state, $4, $5::timestamptz, case when $3 = 'works' then $5 end)
    on conflict (channel, kind) do update
   set state    = excluded.state,
       detail   = excluded.detail,
       since    = case when w.state = excluded.state then w.since else excluded.since end,
       heard_at = coalesce(excluded.heard_at, w.heard_at);
