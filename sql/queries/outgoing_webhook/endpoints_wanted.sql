-- endpoints_wanted: writes which outcomes are posted to which endpoints. One that is gone from the configuration keeps what it
-- still has to take, and is told nothing new.
--
-- $1 endpoints: their names
-- $2 outcomes, $3 watches: of each, words with commas between them; no watches: all
with wanted as (
    select w.endpoint, string_to_array(w.outcomes, ',')::rowbell.outcome[] as outcomes,
           nullif(string_to_array(w.watches, ','), '{}') as watches
      from unnest($1::text[], $2::text[], $3::text[]) as w (endpoint, outcomes, watches)
), gone as (
    update rowbell.outgoing_webhook as w
       set outcomes = '{}'
     where w.endpoint <> all ($1) and w.outcomes <> '{}'
)
insert into rowbell.outgoing_webhook as w (endpoint, outcomes, watches)
select wanted.endpoint, wanted.outcomes, wanted.watches
  from wanted
    on conflict (endpoint) do update
   set outcomes = excluded.outcomes,
       watches  = excluded.watches
 where (w.outcomes, w.watches) is distinct from (excluded.outcomes, excluded.watches);
