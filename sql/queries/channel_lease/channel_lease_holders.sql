-- channel_lease_holders: reads who sends on channels, and to whom a person gave them.
--
-- $1 channels: names of the channels
select wanted.channel, c.leased_by, c.given_to
  from unnest($1::text[]) as wanted (channel)
  left join rowbell.channel as c using (channel)
 order by wanted.channel;
