-- endpoint_resume: lets everything that is due be posted to an endpoint at once. Gives nothing where there is no such endpoint.
--
-- $1 endpoint: which
-- $2 now: the time
with due as (
    update rowbell.outgoing_delivery as d
       set due_at = $2
     where d.endpoint = $1 and d.state = 'due' and d.due_at > $2
)
update rowbell.outgoing_webhook as w
   set failed_in_a_row = 0,
       opened_at       = null,
       next_try_at     = null,
       pause_seconds   = null,
       gone_at         = null
 where w.endpoint = $1
returning w.endpoint;
