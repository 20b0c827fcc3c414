-- 19_owner: which daemon sends on a channel, what it has learned, and in which order messages leave.

-- The learned rate grows back by itself: what counts is how large it was, and when.
alter table rowbell.channel
    add column learned_at timestamptz,
    add constraint learned_rate_has_a_time check ((learned_rate is null) = (learned_at is null));
comment on column rowbell.channel.owned_by is 'The daemon instance that sends on it; null while nobody does.';
comment on column rowbell.channel.owner_expires_at is 'When that right ends unless renewed. It also ends when none of the instance''s sessions is connected any more.';
comment on column rowbell.channel.epoch is 'How often the right changed hands. What an owner of an earlier epoch would write is refused.';
comment on column rowbell.channel.learned_rate is 'Messages a second to which the rate was cut when the provider last asked to slow down; null if it never did.';
comment on column rowbell.channel.learned_at is 'When that was. The rate has grown since, from nothing to the configured one within ten minutes.';

-- What a new owner asks: what was sent lately? Attempts are added in the order of time and their start never
-- changes, so a summary of the table's pages is enough, and costs those who send next to nothing.
create index attempt_started_idx on rowbell.attempt using brin (started_at) with (pages_per_range = 32);

-- What compose asks: which messages of this channel are due, watch by watch? Each scan has a lower bound, so
-- that entries of rows already gone are not walked again and again.
create index queue_turn_idx on rowbell.queue (channel, watch, due_at, message_id) where state = 'open';
drop index rowbell.queue_due_idx;
