-- forget_opt_out_requests: removes the requests to opt out or in that a person wrote. What holds stands in
-- rowbell.opt_out and stays.
--
-- $1 phones: the phone in all its forms
delete from rowbell.opt_out_request where phone = any ($1)
returning phone;
