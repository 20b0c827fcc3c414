-- 13_day: prices, and the figures of each day, which outlive the messages.

-- What a message costs: the site's own list, empty at first. The nearest row counts: one of the country before one of
-- all, then one of the category before one of all, then the latest that is valid on the day.
create table rowbell.price (
    channel     text collate "C" not null,
    country     text not null default '*',
    category    text not null default '*',
    valid_from  date not null default '-infinity',
    price       numeric not null,
    currency    text not null,

    primary key (channel, country, category, valid_from),
    constraint country_is_two_letters_or_all check (country ~ '^([A-Z]{2}|\*)$'),
    constraint category_is_a_word_or_all check (category ~ '^([a-z_-]+|\*)$'),
    constraint price_is_not_negative check (price >= 0),
    constraint currency_is_three_letters check (currency ~ '^[A-Z]{3}$')
);

comment on table  rowbell.price is 'What one message costs: written by the site, read by rowbell_report.cost. Empty at first.';
comment on column rowbell.price.channel is 'The channel, as in the configuration.';
comment on column rowbell.price.country is 'Country of the phone as two letters, such as US; *: all that have no row of their own.';
comment on column rowbell.price.category is 'Category that WhatsApp counts the message under, such as utility; *: all that have no row of their own, and channels that know no categories.';
comment on column rowbell.price.valid_from is 'First day of the price: that of the first change, by the clock of the site.';
comment on column rowbell.price.price is 'Price of one message.';
comment on column rowbell.price.currency is 'Its currency, such as EUR.';


-- One row for each day on which a row of the business was changed that messages tell of. The daemon counts a day anew
-- when something of it may have changed, as long as retention has taken none of its messages.
create table rowbell.day_span (
    day         date primary key,
    first_id    bigint not null,
    last_id     bigint not null,
    is_due      boolean not null,
    is_open     boolean not null default false,
    counted_at  timestamptz,

    constraint first_id_not_after_last check (first_id <= last_id)
);

comment on table  rowbell.day_span is 'Days by the clock of the site, and which messages tell of them.';
comment on column rowbell.day_span.day is 'Day of the first change.';
comment on column rowbell.day_span.first_id is 'No message of the day has an id below this one.';
comment on column rowbell.day_span.last_id is 'No message of the day has an id above this one.';
comment on column rowbell.day_span.is_due is 'True: it has to be counted.';
comment on column rowbell.day_span.is_open is 'True: some of its messages had come to no end when it was counted.';
comment on column rowbell.day_span.counted_at is 'When it was counted last.';

create table rowbell.day_look (
    is_only    boolean primary key default true,
    looked_at  timestamptz,
    time_zone  text,

    constraint there_is_one_row check (is_only)
);
insert into rowbell.day_look default values;

comment on table  rowbell.day_look is 'One row: when rowbell last looked which days have to be counted.';
comment on column rowbell.day_look.is_only is 'Keeps it at one row.';
comment on column rowbell.day_look.looked_at is 'When it looked last; null: never.';
comment on column rowbell.day_look.time_zone is 'By the clock of which time zone the days are counted.';

create table rowbell.day (
    day                date not null,
    watch              text collate "C" not null,
    channel            text collate "C" not null,
    template           text collate "C",
    language           text collate "C",
    recipient_country  text,
    price_category     text,
    pricing_model      text,
    state              rowbell.message_state not null,
    reason             rowbell.message_reason,

    messages           bigint not null,
    fallbacks          bigint not null,
    changes            bigint not null,
    sent               bigint not null,
    delivered          bigint not null,
    read               bigint not null,
    charged            bigint not null,
    to_tell            bigint not null,
    net_sent           bigint not null,
    net_delivered      bigint not null,
    net_read           bigint not null,
    time_to_sent       interval,
    time_to_delivered  interval
);
create index day_day_idx on rowbell.day (day);

comment on table  rowbell.day is 'Messages of each day, counted. Outlives them.';
comment on column rowbell.day.day is 'Day of the first change, by the clock of the site.';
comment on column rowbell.day.watch is 'Name of the watch.';
comment on column rowbell.day.channel is 'The channel.';
comment on column rowbell.day.template is 'The template.';
comment on column rowbell.day.language is 'Language code of the template.';
comment on column rowbell.day.recipient_country is 'Country of the phone.';
comment on column rowbell.day.price_category is 'Category that WhatsApp counts them under.';
comment on column rowbell.day.pricing_model is 'By what WhatsApp charges.';
comment on column rowbell.day.state is 'Where they stand.';
comment on column rowbell.day.reason is 'Why they failed or were skipped.';
comment on column rowbell.day.messages is 'Messages in all.';
comment on column rowbell.day.fallbacks is 'Of them, those that stand in for others.';
comment on column rowbell.day.changes is 'Changes that were folded into those that stand for themselves.';
comment on column rowbell.day.sent is 'Messages that a provider accepted.';
comment on column rowbell.day.delivered is 'Messages that reached the device.';
comment on column rowbell.day.read is 'Messages that were opened.';
comment on column rowbell.day.charged is 'Messages that are paid for.';
comment on column rowbell.day.to_tell is 'Messages that stand for themselves, and were to be sent on some channel.';
comment on column rowbell.day.net_sent is 'Of them, those that were sent on any.';
comment on column rowbell.day.net_delivered is 'Of them, those that reached the device on any.';
comment on column rowbell.day.net_read is 'Of them, those that were opened on any.';
comment on column rowbell.day.time_to_sent is 'From the first change to sent, added up over those sent.';
comment on column rowbell.day.time_to_delivered is 'From the first change to delivered, added up over those delivered.';


create view rowbell_report.day as
select d.day, d.watch, d.channel, d.template, d.language, d.recipient_country, d.price_category, d.pricing_model,
       d.state::text as state,
       d.reason::text as reason,
       d.messages, d.fallbacks, d.changes, d.sent, d.delivered, d.read, d.charged, d.time_to_sent, d.time_to_delivered,
       s.counted_at, d.to_tell, d.net_sent, d.net_delivered, d.net_read
  from rowbell.day as d
  join rowbell.day_span as s using (day);

comment on view   rowbell_report.day is 'Messages of each day, counted: kept by the daemon, so that a year is read in milliseconds, and after retention has removed the messages. Add up what you do not tell apart.';
comment on column rowbell_report.day.day is 'Day of the first change, by the clock of the site (recipient.time_zone), whatever the time zone of the session.';
comment on column rowbell_report.day.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.day.channel is 'The channel, as in the configuration.';
comment on column rowbell_report.day.template is 'The template; see message_status.';
comment on column rowbell_report.day.language is 'Language code of the template.';
comment on column rowbell_report.day.recipient_country is 'Country of the phone as two letters, such as US.';
comment on column rowbell_report.day.price_category is 'Category that WhatsApp counts them under, such as utility; null: it has not said so, or the channel knows none.';
comment on column rowbell_report.day.pricing_model is 'By what WhatsApp charges: PMP (each message) or CBP (conversations).';
comment on column rowbell_report.day.state is 'Where they stand; see message_status.';
comment on column rowbell_report.day.reason is 'Why they failed or were skipped; see message_status.';
comment on column rowbell_report.day.messages is 'Messages in all.';
comment on column rowbell_report.day.fallbacks is 'Of them, those that stand in for others on another channel.';
comment on column rowbell_report.day.changes is 'Changes that were folded into those that stand for themselves: each counts once.';
comment on column rowbell_report.day.sent is 'Of the messages, those that the provider accepted, whatever became of them then.';
comment on column rowbell_report.day.delivered is 'Of them, those that reached the device.';
comment on column rowbell_report.day.read is 'Of them, those that were opened. Recipients may hide that.';
comment on column rowbell_report.day.charged is 'Of them, those that are paid for: where WhatsApp says a category, those that arrived and that it does not call free; elsewhere those that were accepted and did not fail.';
comment on column rowbell_report.day.time_to_sent is 'From the first change to sent, added up: divided by sent it is the average.';
comment on column rowbell_report.day.time_to_delivered is 'From the first change to delivered, added up: divided by delivered it is the average.';
comment on column rowbell_report.day.counted_at is 'When the day was counted last.';
comment on column rowbell_report.day.to_tell is 'Of the messages that stand for themselves, those that were to be sent: not skipped, or sent on another channel.';
comment on column rowbell_report.day.net_sent is 'Of them, those that a provider accepted, on any channel; see funnel.';
comment on column rowbell_report.day.net_delivered is 'Of them, those that reached the device, on any channel.';
comment on column rowbell_report.day.net_read is 'Of them, those that were opened, on any channel.';


-- How long it took: as rowbell_report.latency says it, kept. Of several rows no percentile can be made.
create table rowbell.day_latency (
    day              date not null,
    watch            text collate "C" not null,
    channel          text collate "C" not null,
    step             text not null,
    messages         bigint not null,
    p50_seconds      numeric not null,
    p90_seconds      numeric not null,
    p99_seconds      numeric not null,
    longest_seconds  numeric not null,

    primary key (day, watch, channel, step)
);

comment on table  rowbell.day_latency is 'How long each step took, day by day. Outlives the messages.';
comment on column rowbell.day_latency.day is 'Day of the first change, by the clock of the site.';
comment on column rowbell.day_latency.watch is 'Name of the watch.';
comment on column rowbell.day_latency.channel is 'The channel.';
comment on column rowbell.day_latency.step is 'The step; see rowbell_report.latency.';
comment on column rowbell.day_latency.messages is 'Messages that took it.';
comment on column rowbell.day_latency.p50_seconds is 'Half of them took at most so long.';
comment on column rowbell.day_latency.p90_seconds is 'Ninety in a hundred took at most so long.';
comment on column rowbell.day_latency.p99_seconds is 'Ninety-nine in a hundred took at most so long.';
comment on column rowbell.day_latency.longest_seconds is 'The longest.';

create view rowbell_report.day_latency as
select l.day, l.watch, l.channel, l.step, l.messages, l.p50_seconds, l.p90_seconds, l.p99_seconds, l.longest_seconds
  from rowbell.day_latency as l;

comment on view   rowbell_report.day_latency is 'How long each step took, by day, watch and channel: as rowbell_report.latency, but kept by the daemon as rowbell_report.day is.';
comment on column rowbell_report.day_latency.day is 'Day of the first change, by the clock of the site.';
comment on column rowbell_report.day_latency.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.day_latency.channel is 'The channel, as in the configuration.';
comment on column rowbell_report.day_latency.step is '1 first change to sent, 2 last change to sent, 3 sent to delivered, 4 delivered to read, or 5 first change to delivered.';
comment on column rowbell_report.day_latency.messages is 'Messages that took the step.';
comment on column rowbell_report.day_latency.p50_seconds is 'Half of them took at most so long.';
comment on column rowbell_report.day_latency.p90_seconds is 'Ninety in a hundred took at most so long.';
comment on column rowbell_report.day_latency.p99_seconds is 'Ninety-nine in a hundred took at most so long.';
comment on column rowbell_report.day_latency.longest_seconds is 'The longest.';


create view rowbell_report.cost as
select d.day, d.watch, d.channel, d.template, d.language, d.recipient_country, d.price_category, d.pricing_model,
       sum(d.charged)::bigint as charged,
       p.price,
       sum(d.charged) * p.price as cost,
       p.currency
  from rowbell.day as d
  left join lateral (
       select p.price, p.currency
         from rowbell.price as p
        where p.channel = d.channel
          and p.country in (d.recipient_country, '*')
          and p.category in (d.price_category, '*')
          and p.valid_from <= d.day
        order by p.country = '*', p.category = '*', p.valid_from desc
        limit 1
  ) as p on true
 where d.charged > 0
 group by d.day, d.watch, d.channel, d.template, d.language, d.recipient_country, d.price_category, d.pricing_model, p.price,
          p.currency;

comment on view   rowbell_report.cost is 'What the messages of each day cost, by the prices in rowbell.price. As fast as rowbell_report.day, and as long-lived.';
comment on column rowbell_report.cost.day is 'Day of the first change, by the clock of the site.';
comment on column rowbell_report.cost.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.cost.channel is 'The channel, as in the configuration.';
comment on column rowbell_report.cost.template is 'The template; see message_status.';
comment on column rowbell_report.cost.language is 'Language code of the template.';
comment on column rowbell_report.cost.recipient_country is 'Country of the phone as two letters, such as US.';
comment on column rowbell_report.cost.price_category is 'Category that WhatsApp counts them under.';
comment on column rowbell_report.cost.pricing_model is 'By what WhatsApp charges.';
comment on column rowbell_report.cost.charged is 'Messages that are paid for; see rowbell_report.day.';
comment on column rowbell_report.cost.price is 'Price of one of them on that day; null: rowbell.price has none.';
comment on column rowbell_report.cost.cost is 'What they cost together.';
comment on column rowbell_report.cost.currency is 'Its currency.';
