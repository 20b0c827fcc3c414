-- compose_watches: reads the watches that have open messages on a channel, whether or not they are configured.
--
-- Jumps from one watch to the next in queue_fair_idx.
--
-- $1 channel: name of the channel
with recursive found as (
    (select q.watch
       from rowbell.queue as q
      where q.state = 'open' and q.channel = $1
      order by q.watch
      limit 1)
    union all
    select (select q.watch
              from rowbell.queue as q
             where q.state = 'open' and q.channel = $1 and q.watch > found.watch
             order by q.watch
             limit 1)
      from found
     where found.watch is not null
)
select found.watch from found where found.watch is not null;
