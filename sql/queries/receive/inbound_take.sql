-- inbound_take: what people wish ($1 phone, $2 whether to stop, $3 when they wrote it), each phone once.
--
-- Only what is newer than the last known wish of a phone counts; at the same moment stop wins. An opt-out
-- that an operator, an import or the provider wrote is not lifted here: somebody else decided it.
-- Nor is one that is newer than the wish: wishes are forgotten after a time (see retention), what holds is not.
with newer as (
    insert into rowbell.inbound_wish as known (phone, is_stop, wished_at)
    select w.phone, w.is_stop, w.wished_at
      from unnest($1::text[], $2::boolean[], $3::timestamptz[]) as w (phone, is_stop, wished_at)
        on conflict (phone) do update
       set is_stop   = excluded.is_stop,
           wished_at = excluded.wished_at
     where excluded.wished_at > known.wished_at
        or (excluded.wished_at = known.wished_at and excluded.is_stop and not known.is_stop)
 returning known.phone, known.is_stop, known.wished_at
), lifted as (
    delete from rowbell.opt_out as o
     using newer as n
     where not n.is_stop and o.phone = n.phone and o.source = 'inbound' and o.since <= n.wished_at
), stopped as (
    insert into rowbell.opt_out (phone, since, reason, source)
    select n.phone, n.wished_at, 'wrote that no more messages are wanted', 'inbound'
      from newer as n
     where n.is_stop
        on conflict (phone) do nothing
)
select count(*) filter (where is_stop) as stopped,
       count(*) filter (where not is_stop) as started
  from newer;
