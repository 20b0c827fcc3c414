-- opt_out_remove: removes the opt-outs of phones. Gives those that were there.
--
-- $1 phones: the phones that may be written to again
delete from rowbell.opt_out where phone = any ($1)
returning phone;
