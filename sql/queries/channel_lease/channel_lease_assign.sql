-- channel_lease_assign: a person gives a channel to a daemon, for as long as that one lives.
--
-- $1 channel: name of the channel
-- $2 instance: the daemon
insert into rowbell.channel as c (channel, given_to)
values ($1, $2)
    on conflict (channel) do update
   set given_to   = excluded.given_to,
       updated_at = now();
