-- channel_lease_give: the daemon $1 sends no more; $2 the time. Others may take its channels at once.
update rowbell.channel
   set leased_by        = null,
       lease_expires_at = null,
       updated_at       = $2
 where leased_by = $1;
