-- webhook_probe_may: reads what forbids a test message to a phone.
--
-- A receipt for a message that no attempt knows could be taken for that of an unconfirmed attempt to the same
-- phone, while evidence about it is looked for.
--
-- $1 phones: the phone in all its forms
-- $2 phone_key: the phone, in the form in which phones are compared
select exists (select from rowbell.opt_out as o where o.phone = any ($1) and o.scope = '') as is_opted_out,
       exists (select from rowbell.unconfirmed_attempt as u where u.phone_key = $2 and u.decide_at > now()) as is_unconfirmed;
