-- 05_channel: what is remembered about channels and about people who do not want messages.

create table rowbell.channel (
    channel           text primary key,

    -- The one daemon instance that sends on this channel, until when, and how often it changed hands.
    owned_by          text,
    owner_expires_at  timestamptz,
    epoch             bigint not null default 0,

    is_paused         boolean not null default false,
    paused_reason     text,
    circuit           text not null default 'closed',
    circuit_reason    text,
    circuit_since     timestamptz,
    learned_rate      double precision,

    updated_at        timestamptz not null default now(),

    constraint owner_iff_expiry check ((owned_by is null) = (owner_expires_at is null)),
    constraint circuit_is_closed_open_or_probing check (circuit in ('closed', 'open', 'probing'))
);
comment on table  rowbell.channel is 'State of a channel that must survive a restart.';
comment on column rowbell.channel.channel is 'Name of the channel, as in the configuration.';
comment on column rowbell.channel.owned_by is 'The daemon instance that sends on it.';
comment on column rowbell.channel.owner_expires_at is 'When that right ends unless renewed.';
comment on column rowbell.channel.epoch is 'How often the right changed hands.';
comment on column rowbell.channel.is_paused is 'True while nothing may be sent on it.';
comment on column rowbell.channel.paused_reason is 'Why it is paused, in words.';
comment on column rowbell.channel.circuit is 'closed: sending. open: stopped by errors. probing: one message at a time is tried.';
comment on column rowbell.channel.circuit_reason is 'Why it is not closed, in words.';
comment on column rowbell.channel.circuit_since is 'Since when it is not closed.';
comment on column rowbell.channel.learned_rate is 'Messages a second that the provider was found to bear.';
comment on column rowbell.channel.updated_at is 'When this row was last written.';


create table rowbell.opt_out (
    phone   text primary key,
    since   timestamptz not null default now(),
    reason  text,
    source  text not null
);
comment on table  rowbell.opt_out is 'Phones that must not be written to.';
comment on column rowbell.opt_out.phone is 'International digits without plus sign.';
comment on column rowbell.opt_out.since is 'Since when.';
comment on column rowbell.opt_out.reason is 'Why, in words.';
comment on column rowbell.opt_out.source is 'Who said so: inbound, operator, import or provider.';
