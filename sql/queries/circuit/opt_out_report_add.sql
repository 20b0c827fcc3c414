-- opt_out_report_add: notes that the provider reports an opt-out, in the transaction that stores the evidence.
--
-- $1 message_id: the message that was refused because of it
-- $2 channel: its channel
-- $3 now: the time
insert into rowbell.opt_out_report (message_id, channel, reported_at)
values ($1, $2, $3)
    on conflict (message_id) do nothing;
