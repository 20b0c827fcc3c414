-- settle_sibling: the open message of the entity ($1 watch, $2 key), if there is one besides $3.
select message_id
  from rowbell.queue
 where watch = $1 and entity_key = $2 and message_id <> $3 and state in ('open', 'held')
   for update;
