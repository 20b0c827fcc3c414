-- compose_opt_out: reads which of some phones must not be written to.
--
-- $1 phones: the phones
select phone from rowbell.opt_out where phone = any ($1);
