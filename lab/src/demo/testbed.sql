-- The business database of the demo and the benchmarks: a shop that delivers, and a clinic.
--
-- Nothing in here knows of rowbell. `:customers` and `:deliveries` are replaced by numbers.

create table customer (
    id              bigint primary key,
    full_name       text not null,
    phone           text,
    locale          text,
    time_zone       text,
    whatsapp_opt_in boolean not null default true
);

create type delivery_status as enum ('planned', 'packed', 'on_the_way', 'delivered', 'cancelled');

create table delivery (
    id           bigint primary key,
    customer_id  bigint not null references customer,
    status       delivery_status not null default 'planned',
    window_start timestamptz not null,
    window_end   timestamptz not null,
    address      text not null,
    driver_note  text,
    updated_at   timestamptz not null default now()
);

create table appointment (
    id          bigint primary key,
    customer_id bigint not null references customer,
    starts_at   timestamptz not null,
    doctor      text not null,
    room        text,
    internal    text
);

-- Phones are real in form only: US numbers of exchange 555 to 999 and Spanish mobiles.
insert into customer
select i,
       (array['Maria', 'John', 'Lucía', 'Ahmed', 'Sofie', 'Pedro', 'Anna', 'David'])[1 + i % 8]
           || case when i > 8 then ' ' || chr(65 + (i / 8 % 26)::integer) || '.' else '' end,
       case when i % 3 = 2 then '+346' || lpad((10000000 + i)::text, 8, '0')
            else '+1212' || (2000000 + i)::text end,
       case when i % 3 = 2 then 'es-ES' else 'en-US' end,
       case when i % 3 = 2 then 'Europe/Madrid' else 'America/New_York' end,
       i % 50 <> 49
  from generate_series(1, :customers) as i;

insert into delivery (id, customer_id, window_start, window_end, address)
select i, 1 + (i - 1) % :customers,
       date_trunc('hour', now()) + interval '1 day' + (i % 8) * interval '1 hour',
       date_trunc('hour', now()) + interval '1 day' + (i % 8 + 2) * interval '1 hour',
       (10 + i % 90) || ' Garden Street'
  from generate_series(1, :deliveries) as i;

insert into appointment (id, customer_id, starts_at, doctor, room)
select i, 1 + (i - 1) % :customers,
       date_trunc('hour', now()) + interval '3 days' + (i % 9) * interval '30 minutes',
       (array['Dr. Silva', 'Dr. Chen', 'Dr. Okafor'])[1 + i % 3],
       'Room ' || (1 + i % 12)
  from generate_series(1, least(:deliveries, 200)) as i;

create index delivery_of_customer_idx on delivery (customer_id);
create index appointment_of_customer_idx on appointment (customer_id);
analyze;
