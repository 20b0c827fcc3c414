-- opt_out_request_take: writes what people request, each phone once.
--
-- Only what is newer than the last known request of a phone counts; at the same moment the opt-out wins. An
-- opt-out that an operator, an import or the provider wrote is not lifted here: somebody else decided it.
-- Nor is one that is newer than the request: requests are removed after a time (see retention), opt-outs stay.
--
-- $1 phones: who wrote
-- $2 is_opt_out: whether each asks to opt out; otherwise to opt in again
-- $3 requested_at: when each wrote it
-- $4 origin: where they wrote it
with newer as (
    insert into rowbell.opt_out_request as known (phone, is_opt_out, requested_at)
    select r.phone, r.is_opt_out, r.requested_at
      from unnest($1::text[], $2::boolean[], $3::timestamptz[]) as r (phone, is_opt_out, requested_at)
        on conflict (phone) do update
       set is_opt_out   = excluded.is_opt_out,
           requested_at = excluded.requested_at
     where excluded.requested_at > known.requested_at
        or (excluded.requested_at = known.requested_at and excluded.is_opt_out and not known.is_opt_out)
 returning known.phone, known.is_opt_out, known.requested_at
), opted_in as (
    delete from rowbell.opt_out as o
     using newer as n
     where not n.is_opt_out and o.phone = n.phone and o.scope = '' and o.source = 'inbound' and o.since <= n.requested_at
), opted_out as (
    insert into rowbell.opt_out (phone, since, reason, source, origin)
    select n.phone, n.requested_at, 'wrote that no more messages are wanted', 'inbound'::rowbell.opt_out_source, $4
      from newer as n
     where n.is_opt_out
        on conflict (phone, scope) do nothing
)
select count(*) filter (where is_opt_out) as opted_out,
       count(*) filter (where not is_opt_out) as opted_in
  from newer;
