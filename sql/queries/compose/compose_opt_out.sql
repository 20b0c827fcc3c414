-- compose_opt_out: reads which of some phones must not be written to.
--
-- $1 phones: the phones
-- $2 watch: what they would be told of; null: anything
select phone from rowbell.opt_out where phone = any ($1) and ($2::text is null or scope in ('', $2));
