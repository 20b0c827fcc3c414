-- opt_out_remove: the phones $1 may be written to again. Gives those that were there.
delete from rowbell.opt_out where phone = any ($1)
returning phone;
