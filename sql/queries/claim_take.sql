-- claim_take: take up to $3 changes of the watches $2 with ids above $1, in order of capture.
--
-- The caller holds the claim lock, so no other daemon deletes here, and rows of rowbell.change are
-- never updated: that is why a row found by its place (ctid) is still the same row. The lower
-- bound $1 keeps the scan from walking index entries of rows that are gone but that an old
-- snapshot keeps alive. The deletion counts only if the whole claim commits.
with taken as (
    delete from rowbell.change
     where ctid = any (array(
           select c.ctid
             from rowbell.change as c
            where c.change_id > $1
              and c.watch = any ($2)
            order by c.change_id
            limit $3
     ))
 returning change_id, watch, entity_key, operation, old_row, new_row,
           changed_at, mute_reason, capture_error
)
select change_id, watch, entity_key, operation::text, old_row, new_row,
       changed_at, mute_reason, capture_error,
       pg_current_xact_id()::text::bigint as claimed_by
  from taken
 order by change_id;
