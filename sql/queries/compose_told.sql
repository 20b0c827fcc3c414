-- compose_told: everything that counts as told to the entity ($1 watch, $2 key), latest first, down
-- to the last message that really left. Asked only for entities whose latest is a muted change.
-- $3: whether unconfirmed messages count as told.
select m.message_id, m.reason::text = 'muted' as is_muted, m.old_row, m.new_row
  from rowbell.message as m
 where m.watch = $1 and m.entity_key = $2
   and (m.state in ('sent', 'delivered', 'read')
        or (m.state = 'unconfirmed' and $3)
        or (m.state = 'skipped' and m.reason = 'muted'))
   and m.message_id >= coalesce((
       select max(t.message_id)
         from rowbell.message as t
        where t.watch = $1 and t.entity_key = $2
          and (t.state in ('sent', 'delivered', 'read') or (t.state = 'unconfirmed' and $3))
   ), 0)
 order by m.message_id desc;
