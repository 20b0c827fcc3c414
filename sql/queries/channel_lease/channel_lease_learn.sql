-- channel_lease_learn: the provider asked channel $1 to slow down, and the holder of its lease $2 cut the rate to $3 a second at $4.
update rowbell.channel
   set learned_rate = $3,
       learned_at   = $4,
       updated_at   = $4
 where channel = $1
   and leased_by = $2;
