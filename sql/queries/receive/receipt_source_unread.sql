-- receipt_source_unread: writes that something was posted that is not understood. Its time is that of the last.
--
-- $1 channel: name of the channel
-- $2 detail: what it was, without anything of anybody
-- $3 now: the time
insert into rowbell.receipt_source as s (channel, kind, state, detail, since)
values ($1, 'unread', 'failing', $2, $3)
    on conflict (channel, kind) do update
   set detail = excluded.detail,
       since  = excluded.since;
