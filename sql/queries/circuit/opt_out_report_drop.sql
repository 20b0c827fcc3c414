-- opt_out_report_drop: forgets what was reported on a channel and is not believed.
--
-- $1 channel: name of the channel
delete from rowbell.opt_out_report where channel = $1;
