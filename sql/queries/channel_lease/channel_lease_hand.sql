-- channel_lease_hand: ends the lease of a daemon on one channel, for another one that is to send on it.
--
-- $1 channel: name of the channel
-- $2 instance: the daemon
-- $3 now: the time
update rowbell.channel
   set leased_by        = null,
       lease_expires_at = null,
       updated_at       = $3
 where channel = $1
   and leased_by = $2;
