-- forget_drop_changes: removes the changes $1, which were to tell the one who is forgotten.
delete from rowbell.change where change_id = any ($1)
returning change_id;
