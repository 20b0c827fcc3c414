-- owner_give: the daemon $1 sends no more; $2 the time. Others may take its channels at once.
update rowbell.channel
   set owned_by         = null,
       owner_expires_at = null,
       updated_at       = $2
 where owned_by = $1;
