-- outcome_notify: takes the outcomes of which whoever listens is to be notified, many at once, and forgets them. Of one
-- message the earlier outcome comes first.
--
-- $1 now: the time
-- $2 watches: of these
-- $3 limit: at most so many
with picked as (
    select c.call_id
      from rowbell.outcome_call as c
     where c.place = -1 and c.due_at <= $1 and c.watch = any ($2)
       and not exists (
           select
             from rowbell.outcome_call as earlier
            where earlier.message_id = c.message_id and earlier.place = -1 and earlier.call_id < c.call_id
       )
     order by c.due_at, c.call_id
     limit $3
       for update of c skip locked
), taken as (
    delete from rowbell.outcome_call as c
     using picked as p
     where c.call_id = p.call_id
 returning c.call_id, c.message_id, c.watch, c.state
)
select t.message_id, t.watch, t.state::text, m.entity_key
  from taken as t
  join rowbell.message as m using (message_id)
 order by t.call_id;
