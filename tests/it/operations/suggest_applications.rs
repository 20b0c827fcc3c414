//! What `rowbell init` writes for the tables of applications that people run: their shapes, rewritten in our words. Each
//! snapshot is the suggestion, what `check` says of it, and what the customer reads.

use crate::harness::cluster;
use crate::operations::suggest::{rowbell, story};

/// django-appointment: the phone stands in the appointment, the name one foreign key away, the time in another table.
#[tokio::test]
async fn django_appointment() {
    let schema = "
        create table auth_user (
            id integer primary key, username varchar(150) not null, first_name varchar(150) not null,
            last_name varchar(150) not null, email varchar(254) not null, last_login timestamptz,
            date_joined timestamptz not null default now(), is_staff boolean not null default false
        );
        create table appointment_service (id bigint primary key, name varchar(100) not null, price numeric(8,2) not null);
        create table appointment_staffmember (id bigint primary key, user_id integer not null unique references auth_user);
        create table appointment_appointmentrequest (
            id bigint primary key, \"date\" date not null, start_time time not null, end_time time not null,
            payment_type varchar(4) not null, id_request varchar(100), service_id bigint not null references appointment_service,
            staff_member_id bigint references appointment_staffmember, created_at timestamptz not null default now()
        );
        create table appointment_appointment (
            id bigint primary key, phone varchar(20) not null, address varchar(255), want_reminder boolean not null,
            additional_info text, paid boolean not null, amount_to_pay numeric(6,2), id_request varchar(100),
            client_id integer not null references auth_user,
            appointment_request_id bigint not null unique references appointment_appointmentrequest,
            created_at timestamptz not null default now(), updated_at timestamptz not null default now()
        );
        insert into auth_user (id, username, first_name, last_name, email, last_login) values
            (5, 'maria', 'Maria', 'L', 'm@example.com', now()), (6, 'ann', 'Dr. Ann', 'S', 'a@example.com', now());
        insert into appointment_service values (1, 'Massage', 50);
        insert into appointment_staffmember values (1, 6);
        insert into appointment_appointmentrequest values
            (9, 'NEXT-06-24', '10:00', '11:00', 'full', 'x', 1, 1, now());
        insert into appointment_appointment values
            (3, '+1 212 200 0001', '1 Main Street', true, '', false, 50, 'y', 5, 9, now(), now());";
    let moved = "update appointment_appointmentrequest set \"date\" = 'NEXT-06-25', start_time = '12:00', end_time = '13:00'";
    insta::assert_snapshot!(
        "django_appointment_request",
        story(schema, "appointment_appointmentrequest", moved, "12122000001").await
    );
    let elsewhere = "update appointment_appointment set address = '2 New Street'";
    insta::assert_snapshot!(
        story(schema, "appointment_appointment", elsewhere, "12122000001").await
    );
}

/// django-oscar: an order with the phone in its address, `date_placed` behind, a `state` that is of a country.
#[tokio::test]
async fn django_oscar() {
    let schema = "
        create table auth_user (id integer primary key, username varchar(150) not null, email varchar(254) not null);
        create table order_shippingaddress (
            id bigint primary key, title varchar(64) not null, first_name varchar(255) not null, last_name varchar(255) not null,
            line1 varchar(255) not null, line4 varchar(255) not null, state varchar(255) not null, postcode varchar(64) not null,
            phone_number varchar(128) not null, notes text not null
        );
        create table order_order (
            id bigint primary key, number varchar(128) not null unique, currency varchar(12) not null,
            total_incl_tax numeric(12,2) not null, total_excl_tax numeric(12,2) not null, shipping_method varchar(128) not null,
            status varchar(100) not null, guest_email varchar(254) not null, date_placed timestamptz not null,
            shipping_address_id bigint references order_shippingaddress, user_id integer references auth_user
        );
        create table order_line (
            id bigint primary key, order_id bigint not null references order_order, title varchar(255) not null,
            quantity integer not null, status varchar(255) not null, est_dispatch_date date
        );
        insert into auth_user values (5, 'maria', 'm@example.com');
        insert into order_shippingaddress values
            (1, '', 'Maria', 'Lopez', '1 Main Street', 'Springfield', 'IL', '62701', '+12122000001', '');
        insert into order_order values
            (100, '100100', 'EUR', 30, 25, 'Parcel', 'Pending', '', now() - interval '2 days', 1, 5);
        insert into order_line values (7, 100, 'Tea', 2, 'Pending', 'NEXT-06-24');";
    let sent = "update order_order set status = 'Being processed', total_incl_tax = 33.5";
    insta::assert_snapshot!(story(schema, "order_order", sent, "12122000001").await);
    let fewer = "update order_line set quantity = 1, est_dispatch_date = 'NEXT-06-25'";
    insta::assert_snapshot!(
        "django_oscar_line",
        story(schema, "order_line", fewer, "12122000001").await
    );
    let moved =
        "update order_shippingaddress set line1 = '2 New Street', state = 'NY', line4 = 'Albany'";
    let told = story(
        &schema.replace("line1", "street").replace("line4", "city"),
        "order_shippingaddress",
        &moved.replace("line1", "street").replace("line4", "city"),
        "12122000001",
    )
    .await;
    insta::assert_snapshot!("django_oscar_address", told);
}

/// Tryton: parties whose phones are rows of a table of contacts.
#[tokio::test]
async fn tryton() {
    let schema = "
        create table ir_lang (id integer primary key, code varchar not null, name varchar not null);
        create table party_party (
            id integer primary key, code varchar not null, name varchar, lang integer references ir_lang, active boolean not null default true
        );
        create table party_contact_mechanism (
            id integer primary key, party integer not null references party_party, type varchar not null, value varchar,
            value_compact varchar, sequence integer, active boolean not null default true
        );
        create table party_address (id integer primary key, party integer not null references party_party, city varchar);
        create table stock_shipment_out (
            id integer primary key, number varchar, reference varchar, customer integer not null references party_party,
            delivery_address integer references party_address, planned_date date, effective_date date,
            state varchar not null, create_date timestamp(6) default now(), write_date timestamp(6)
        );
        insert into ir_lang values (1, 'en', 'English');
        insert into party_party values (1, 'C1', 'Maria', 1);
        insert into party_contact_mechanism (id, party, type, value) values
            (1, 1, 'email', 'm@example.com'), (2, 1, 'phone', '+1 212 200 0009'), (3, 1, 'mobile', '+1 212 200 0001'),
            (4, 1, 'website', 'https://example.com');
        insert into party_address values (1, 1, 'Springfield');
        insert into stock_shipment_out (id, number, customer, delivery_address, planned_date, state) values
            (8, 'S8', 1, 1, 'NEXT-06-24', 'waiting'), (9, 'S9', 1, 1, '2020-01-01', 'done');";
    let moved = "update stock_shipment_out set planned_date = 'NEXT-06-25', state = 'assigned' where id = 8";
    insta::assert_snapshot!(story(schema, "stock_shipment_out", moved, "12122000001").await);
}

/// Medusa: text keys, soft deletes everywhere, what happened to a parcel as moments instead of a status.
#[tokio::test]
async fn medusa() {
    let schema = "
        create table fulfillment_address (
            id text primary key, first_name text, last_name text, address_1 text, city text, province text, postal_code text,
            phone text, metadata jsonb, created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
            deleted_at timestamptz
        );
        create table fulfillment (
            id text primary key, location_id text not null, packed_at timestamptz, shipped_at timestamptz, delivered_at timestamptz,
            canceled_at timestamptz, data jsonb, provider_id text, delivery_address_id text unique references fulfillment_address,
            created_by text, requires_shipping boolean not null default true, metadata jsonb,
            created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz
        );
        insert into fulfillment_address (id, first_name, phone) values ('fuladdr_1', 'Maria', '+12122000001');
        insert into fulfillment (id, location_id, delivery_address_id, packed_at) values ('ful_1', 'sloc_1', 'fuladdr_1', '2020-01-01Z');";
    let shipped = "update fulfillment set shipped_at = '2020-01-02 10:00Z'";
    insta::assert_snapshot!(story(schema, "fulfillment", shipped, "12122000001").await);
    let gone = "update fulfillment set deleted_at = now()";
    let told = story(schema, "fulfillment", gone, "12122000001").await;
    assert!(told.contains("updated. It has been cancelled. If"), "{told}");
}

/// cal.com: a booking has attendees, who hold phone, language and zone; the host has none.
#[tokio::test]
async fn cal_com() {
    let schema = r#"
        create type "BookingStatus" as enum ('cancelled', 'accepted', 'rejected', 'pending', 'awaiting_host');
        create table users (id serial primary key, username text, name text, email text not null, "timeZone" text not null default 'Europe/London', locale text);
        create table "Booking" (
            id serial primary key, uid text not null unique, "userId" integer references users, title text not null, description text,
            "startTime" timestamp(3) not null, "endTime" timestamp(3) not null, location text,
            "createdAt" timestamp(3) not null default now(), "updatedAt" timestamp(3), status "BookingStatus" not null default 'accepted',
            paid boolean not null default false, "cancellationReason" text
        );
        create table "Attendee" (
            id serial primary key, email text not null, name text not null, "timeZone" text not null, "phoneNumber" text,
            locale text default 'en', "bookingId" integer references "Booking", "noShow" boolean default false
        );
        insert into users (name, email) values ('Host', 'h@example.com');
        insert into "Booking" (uid, "userId", title, "startTime", "endTime", location) values
            ('u1', 1, 'Consultation', 'NEXT-06-24 14:00', 'NEXT-06-24 15:00', 'Room 1');
        insert into "Attendee" (email, name, "timeZone", "phoneNumber", "bookingId") values
            ('m@example.com', 'Maria', 'America/New_York', '+12122000001', 1);"#;
    let moved =
        r#"update "Booking" set "startTime" = 'NEXT-06-25 14:00', "endTime" = 'NEXT-06-25 15:00'"#;
    insta::assert_snapshot!(story(schema, r#""Booking""#, moved, "12122000001").await);
}

/// Odoo: a partner has a phone, a mobile or both; whoever made the picking has them too.
#[tokio::test]
async fn odoo() {
    let schema = "
        create table res_partner (
            id integer primary key, name varchar, display_name varchar, lang varchar, tz varchar, phone varchar, mobile varchar,
            email varchar, active boolean default true, is_company boolean, parent_id integer references res_partner,
            create_date timestamp, write_date timestamp
        );
        create table res_company (id integer primary key, partner_id integer not null references res_partner, name varchar);
        create table res_users (id integer primary key, partner_id integer not null references res_partner, login varchar);
        create table stock_picking (
            id integer primary key, name varchar, origin varchar, note text, state varchar, scheduled_date timestamp,
            date_deadline timestamp, date_done timestamp, partner_id integer references res_partner,
            user_id integer references res_users, company_id integer references res_company, carrier_tracking_ref varchar,
            create_uid integer references res_users, create_date timestamp, write_date timestamp
        );
        insert into res_partner (id, name, display_name, lang, tz, phone, mobile) values
            (1, 'Shop', 'Shop', 'en_US', null, '+1 212 200 0099', null),
            (7, 'Maria', 'Maria', 'es_MX', 'America/Mexico_City', '+12122000001', ''),
            (8, 'Clerk', 'Clerk', 'en_US', null, null, '+1 212 200 0098');
        insert into res_company values (1, 1, 'Shop');
        insert into res_users values (2, 8, 'clerk');
        insert into stock_picking values
            (3, 'WH/OUT/3', 'S1', null, 'assigned', 'NEXT-06-24 14:00', 'NEXT-06-25 14:00', null, 7, 2, 1, null, 2, now(), now());";
    let moved = "update stock_picking set scheduled_date = 'NEXT-06-26 14:00', state = 'confirmed'";
    insta::assert_snapshot!(story(schema, "stock_picking", moved, "12122000001").await);
}

/// Solidus: no foreign keys at all, tables that all begin alike, and an address to ship to beside the one that pays.
#[tokio::test]
async fn solidus() {
    let schema = "
        create table spree_users (id serial primary key, email varchar, login varchar, created_at timestamp(6) not null default now());
        create table spree_addresses (
            id serial primary key, name varchar, address1 varchar, city varchar, zipcode varchar, phone varchar,
            alternative_phone varchar, state_name varchar, company varchar
        );
        create table spree_orders (
            id serial primary key, number varchar(32), state varchar, total numeric(10,2) not null default 0, user_id integer,
            completed_at timestamp, bill_address_id integer, ship_address_id integer, email varchar, currency varchar
        );
        create table spree_shipments (
            id serial primary key, tracking varchar, number varchar, cost numeric(10,2) default 0, shipped_at timestamp,
            order_id integer, state varchar, created_at timestamp(6) not null default now()
        );
        insert into spree_addresses (id, name, phone) values (1, 'Maria', '+12122000001'), (2, 'Payer', '+12122000099');
        insert into spree_users (id, email) values (5, 'm@example.com');
        insert into spree_orders (id, number, state, user_id, bill_address_id, ship_address_id) values (9, 'R1', 'complete', 5, 2, 1);
        insert into spree_shipments (id, number, order_id, state) values (3, 'H1', 9, 'pending');";
    let shipped =
        "update spree_shipments set state = 'shipped', shipped_at = now(), tracking = 'T1'";
    insta::assert_snapshot!(story(schema, "spree_shipments", shipped, "12122000001").await);
}

/// Easy!Appointments: one table of people, customers and those who serve them; names of languages instead of codes.
#[tokio::test]
async fn easy_appointments() {
    let schema = "
        create table ea_roles (id integer primary key, name varchar(256), slug varchar(256));
        create table ea_users (
            id integer primary key, first_name varchar(256), last_name varchar(512), email varchar(512),
            mobile_number varchar(128), phone_number varchar(128), address varchar(256), timezone varchar(256) default 'UTC',
            language varchar(256) default 'english', id_roles integer not null references ea_roles, notes text
        );
        create table ea_services (id integer primary key, name varchar(256), duration integer, price numeric(10,2), currency varchar(32));
        create table ea_appointments (
            id integer primary key, create_datetime timestamp, update_datetime timestamp, start_datetime timestamp,
            end_datetime timestamp, location text, notes text, hash text, status varchar(512) default '',
            id_users_provider integer references ea_users, id_users_customer integer references ea_users,
            id_services integer references ea_services
        );
        insert into ea_roles values (2, 'Provider', 'provider'), (3, 'Customer', 'customer');
        insert into ea_users values
            (1, 'Ann', 'S', 'a@example.com', null, '+12122000099', null, 'America/New_York', 'english', 2, null),
            (2, 'Maria', 'L', 'm@example.com', null, '+12122000001', null, 'America/New_York', 'english', 3, null);
        insert into ea_services values (1, 'Cut', 30, 20, 'USD'), (2, 'Colour', 60, 50, 'USD');
        insert into ea_appointments values
            (3, now(), now(), 'NEXT-06-24 10:00', 'NEXT-06-24 10:30', null, null, 'h', 'Booked', 1, 2, 1);";
    let moved = "update ea_appointments set start_datetime = 'NEXT-06-25 10:00', end_datetime = 'NEXT-06-25 10:30', id_services = 2";
    insta::assert_snapshot!(story(schema, "ea_appointments", moved, "12122000001").await);
}

/// A deadline that lies behind every row ended every message, and `check` was content.
#[tokio::test]
async fn what_lies_in_the_past_is_no_deadline() {
    let cluster = cluster();
    let url = cluster.url("postgres");
    let db = rowbell_lab::demo::testbed::connect(&url).await.unwrap();
    let mut wrong = Vec::new();
    for (column, type_name, value, expected) in [
        ("date_of_birth", "timestamptz", "null", None),
        ("dob", "date", "null", None),
        ("order_date", "date", "null", None),
        ("invoice_date", "date", "null", None),
        ("date_placed", "timestamptz", "null", None),
        ("last_login", "timestamptz", "null", None),
        ("registered_on", "date", "null", None),
        ("shipped_at", "timestamptz", "null", None),
        ("visit_date", "date", "null", Some("visit_date")),
        ("visit_date", "date", "'2020-01-01'", None),
        ("visit_date", "date", "current_date", Some("visit_date")),
        ("due", "timestamptz", "'9999-01-01Z'", Some("due")),
        ("held_at", "timestamptz", "null", None),
        ("scheduled_at", "timestamp", "null", Some("scheduled_at")),
        ("days", "daterange", "null", Some("upper(days) - 1")),
        ("during", "tstzrange", "null", Some("upper(during)")),
    ] {
        db.batch_execute(&format!(
            "drop table if exists t_x;
             create table t_x (id int primary key, name text, phone text, status text, {column} {type_name});
             insert into t_x values (1, 'Maria', '+1 212 200 0001', 'new', {value})"
        ))
        .await
        .unwrap();
        let text = rowbell(&["suggest", "t_x", "--database", &url]).unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix("expires_at = "));
        let expected = expected.map(|sql| format!("\"{sql}\""));
        if found != expected.as_deref() {
            wrong.push(format!("{column} {value}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Nobody has a phone, but there is a mail address.
    db.batch_execute("alter table t_x rename phone to email").await.unwrap();
    let text = rowbell(&["suggest", "t_x", "--database", &url]).unwrap();
    assert!(text.contains("select changed.name, changed.email") && text.contains("smtp"), "{text}");
}
