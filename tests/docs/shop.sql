-- The business's own tables, as README and docs speak of them.
create table customer (
    id bigint primary key, full_name text, phone text, email text, locale text, time_zone text,
    whatsapp_opt_in boolean
);
create table driver (id bigint primary key, full_name text);
create table delivery (
    id bigint primary key, customer_id bigint references customer, driver_id bigint references driver,
    branch_zone text, status text, window_start timestamptz, window_end timestamptz, address text,
    fee numeric, fee_currency text, details jsonb
);
insert into customer values
    (1, 'Maria', '+1 202-555-0143', 'maria@example.com', 'en-US', 'America/New_York', true);
insert into delivery (id, customer_id, status, window_start, window_end, address) values
    (17, 1, 'planned', '2026-06-25 08:00Z', '2026-06-25 10:00Z', '1 Main Street');
