-- retention_opt_out_requests: removes up to $2 requests that were written before $1. An opt-out that came of one stays: it
-- protects the person.
delete from rowbell.opt_out_request
 where phone = any (array(
       select w.phone
         from rowbell.opt_out_request as w
        where w.requested_at < $1
        limit $2
 ))
returning phone;
