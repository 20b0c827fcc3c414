-- forget_opt_out_requests: removes what the phone $1 (all its forms) wrote about further messages. What holds stands in
-- rowbell.opt_out and stays.
delete from rowbell.opt_out_request where phone = any ($1)
returning phone;
