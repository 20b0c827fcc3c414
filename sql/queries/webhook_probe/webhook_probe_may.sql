-- webhook_probe_may: what forbids a test message to a phone ($1 in all its forms, $2 as phones are compared).
--
-- A receipt for a message that no attempt knows could be taken for that of an unconfirmed one, while evidence about it is looked for.
select exists (select from rowbell.opt_out as o where o.phone = any ($1)) as is_opted_out,
       exists (select from rowbell.unconfirmed_attempt as d where d.phone_key = $2 and d.decide_at > now()) as is_in_doubt;
