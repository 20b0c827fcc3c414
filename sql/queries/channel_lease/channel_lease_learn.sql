-- channel_lease_learn: writes the lower rate of a channel: the provider asked to slow down.
--
-- $1 channel: name of the channel
-- $2 instance: the daemon that holds its lease
-- $3 rate: messages a second
-- $4 now: the time
update rowbell.channel
   set learned_rate = $3,
       learned_at   = $4,
       updated_at   = $4
 where channel = $1
   and leased_by = $2;
