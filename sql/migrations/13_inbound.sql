-- 13_inbound: what customers themselves wrote about further messages.

-- The latest wish of each phone. A repeated or late STOP must not undo the START that came after it, so
-- it is kept when the wish was written, not when it arrived.
create table rowbell.inbound_wish (
    phone      text primary key,
    is_stop    boolean not null,
    wished_at  timestamptz not null
);
comment on table  rowbell.inbound_wish is 'The latest wish that a customer wrote: no more messages, or messages again. See rowbell.opt_out for what holds.';
comment on column rowbell.inbound_wish.phone is 'International digits, as the provider writes them.';
comment on column rowbell.inbound_wish.is_stop is 'True: no more messages. False: messages again.';
comment on column rowbell.inbound_wish.wished_at is 'When it was written.';
