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
)
select (select count(*) from ended) as ended,
       (select count(*) from tried) as tried;
