-- forget_drop_changes: removes changes that were to be told to the person who is forgotten.
--
-- $1 change_ids: the changes
delete from rowbell.change where change_id = any ($1)
returning change_id;
