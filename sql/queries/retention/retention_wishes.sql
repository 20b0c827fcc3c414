-- retention_wishes: removes up to $2 wishes that were written before $1. An opt-out that came of one stays: it
-- protects the person.
delete from rowbell.inbound_wish
 where phone = any (array(
       select w.phone
         from rowbell.inbound_wish as w
        where w.wished_at < $1
        limit $2
 ))
returning phone;
