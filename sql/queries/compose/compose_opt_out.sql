-- compose_opt_out: which of the phones $1 must not be written to.
select phone from rowbell.opt_out where phone = any ($1);
