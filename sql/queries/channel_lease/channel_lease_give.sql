-- channel_lease_give: ends the leases of a daemon, which leaves. Others may take its channels at once.
--
-- $1 instance: the daemon
-- $2 now: the time
with gone as (
    delete from rowbell.daemon where instance = $1
)
update rowbell.channel
   set leased_by        = null,
       lease_expires_at = null,
       updated_at       = $2
 where leased_by = $1;
