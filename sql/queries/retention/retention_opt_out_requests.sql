-- retention_opt_out_requests: removes old requests to opt out or in. An opt-out that came of one stays: it protects
-- the person.
--
-- $1 before: only requests that were written before this
-- $2 limit: how many requests at most
delete from rowbell.opt_out_request
 where phone = any (array(
       select r.phone
         from rowbell.opt_out_request as r
        where r.requested_at < $1
        limit $2
 ))
returning phone;
