-- forget_opt_out_requests: removes what a person wrote and said about being written to. What holds stands in
-- rowbell.opt_out and stays.
--
-- $1 phones: the phone in all its forms
with consent as (
    delete from rowbell.consent_event where phone = any ($1)
)
delete from rowbell.opt_out_request where phone = any ($1)
returning phone;
