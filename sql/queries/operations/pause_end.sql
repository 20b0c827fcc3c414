-- pause_end: ends the pause of a channel or watch. A channel whose circuit is open, or that of a template on it,
-- tries a message now instead of at its time.
--
-- $1 kind, $2 name: channel or watch, and its name
with ended as (
    delete from rowbell.pause as p
     where p.kind = $1::text::rowbell.pause_kind and p.name = $2
 returning p.name
), tried as (
    update rowbell.circuit as c
       set probe_at   = now(),
           updated_at = now()
     where $1 = 'channel' and c.channel = $2 and c.state <> 'closed'
 returning c.channel
), put_off as (
    -- What the errors put off: there may be nothing else to try.
    select m.message_id
      from rowbell.queue as q
      join rowbell.message as m using (message_id)
      join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
     where exists (select from tried)
       and q.channel = $2 and q.state = 'open' and q.due_at > now()
       and m.waits_for = 'retry'
       and a.error_class in ('channel', 'template')
), due as (
    update rowbell.queue as q set due_at = now() from put_off as p where q.message_id = p.message_id
), said as (
    update rowbell.message as m set due_at = now() from put_off as p where m.message_id = p.message_id
)
select (select count(*) from ended) as ended,
       (select count(*) from tried) as tried;
