//! A table in whatever style becomes a watch that `check` accepts and that tells the right thing.
//!
//! The schemas are ours, in the styles of what people have: Prisma, Rails, Django, TypeORM, Drizzle, and
//! tables that a DBA wrote. Each snapshot is the suggestion and, below it, what the customer reads.

use std::path::Path;
use std::process::Command;

use jiff::tz::TimeZone;
use rowbell::clock::Clock;
use rowbell_lab::demo::scratch::Scratch;

use crate::harness::World;

/// `NEXT` is the year after this one: what lies ahead is told.
fn next_year() -> String {
    (Clock::system().now().to_zoned(TimeZone::UTC).year() + 1).to_string()
}

pub fn rowbell(arguments: &[&str]) -> Result<String, String> {
    let exe = env!("CARGO_BIN_EXE_rowbell");
    let output = Command::new(exe).args(arguments).env_remove("ROWBELL_CONFIG").output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(said(&output.stdout)),
        false => Err(said(&output.stderr)),
    }
}

/// What `rowbell init` writes for a table, made fit for the simulated provider.
fn first_configuration(url: &str, folder: &Path, provider: &str, table: &str) -> String {
    let path = folder.join("rowbell.toml");
    let file = path.to_str().unwrap();
    let token = folder.join("token");
    rowbell(&[
        "--config",
        file,
        "init",
        "--database",
        url,
        "--channel-id",
        "ODI371267300",
        "--token-file",
        token.to_str().unwrap(),
        "--namespace",
        "3f1c0000_sandbox",
        "--table",
        table,
    ])
    .unwrap_or_else(|said| panic!("{table}: {said}"));
    let written = std::fs::read_to_string(&path).unwrap();
    let provider = format!("provider   = \"1msg\"\nbase_url   = \"{provider}\"");
    let text = written.replace("provider   = \"1msg\"", &provider);
    std::fs::write(&path, &text).unwrap();
    text
}

/// The suggestion for a table, and what `phone` reads after the business did something.
pub async fn story(schema: &str, table: &str, change: &str, phone: &str) -> String {
    let year = next_year();
    let schema = schema.replace("NEXT", &year);
    let mut suggested = String::new();
    let mut file = String::new();
    let mut world = World::made(&schema, |url, folder, provider| {
        let text = first_configuration(url, folder, provider, table);
        let watch = text.split_once("# Suggested by").map(|(_, watch)| watch).unwrap();
        suggested = format!("# Suggested by{watch}");
        file = folder.join("rowbell.toml").display().to_string();
        text
    })
    .await;
    let checked = rowbell(&["--config", &file, "check"]).unwrap().replace(&file, "rowbell.toml");
    world.sql(&change.replace("NEXT", &year)).await;
    world.settle().await;
    let read = world.read(phone).join("\n").replace(&year, "NEXT");
    assert_eq!(world.sandbox.count(), 1, "{:?}", world.messages().await);
    format!("{suggested}\n---- check says\n{checked}\n---- {phone} reads\n{read}")
}

/// Quoted CamelCase, `timestamp(3)` that holds UTC, enum types, two people behind foreign keys.
#[tokio::test]
async fn prisma() {
    let schema = r#"
        create type "AppointmentStatus" as enum ('PENDING', 'CONFIRMED', 'CANCELLED', 'NO_SHOW');
        create table "Client" (
            "id" text primary key, "firstName" text not null, "lastName" text not null, "email" text,
            "phoneNumber" text, "preferredLanguage" text default 'en', "timeZone" text,
            "whatsappOptIn" boolean not null default false, "createdAt" timestamp(3) not null default now()
        );
        create table "Practitioner" ("id" text primary key, "fullName" text not null, "phone" text);
        create table "Appointment" (
            "id" text primary key, "clientId" text not null references "Client",
            "practitionerId" text not null references "Practitioner",
            "startTime" timestamp(3) not null, "endTime" timestamp(3) not null,
            "status" "AppointmentStatus" not null default 'PENDING', "internalNotes" text,
            "createdAt" timestamp(3) not null default now(), "updatedAt" timestamp(3) not null
        );
        insert into "Client" values
            ('c1', 'Maria', 'Lopez', 'm@example.com', '+12122000001', 'en', 'America/New_York', true);
        insert into "Practitioner" values ('p1', 'Dr. Silva', '+12122000099'), ('p2', 'Dr. Chen', null);
        insert into "Appointment" values
            ('a1', 'c1', 'p1', 'NEXT-06-24 14:00', 'NEXT-06-24 15:00', 'PENDING', null, now(), now());"#;
    let change = r#"update "Appointment" set "startTime" = 'NEXT-06-25 14:00', "endTime" = 'NEXT-06-25 15:00',
                        "practitionerId" = 'p2', "status" = 'CONFIRMED' where "id" = 'a1'"#;
    insta::assert_snapshot!(story(schema, r#""Appointment""#, change, "12122000001").await);
}

/// Snake case in the plural, codes as numbers, `timestamp(6)` that holds UTC.
#[tokio::test]
async fn rails() {
    let schema = "
        create table users (
            id bigserial primary key, first_name varchar, last_name varchar, phone_number varchar,
            locale varchar default 'en', time_zone varchar, sms_opt_in boolean,
            created_at timestamp(6) not null default now(), updated_at timestamp(6) not null default now()
        );
        create table appointments (
            id bigserial primary key, user_id bigint not null references users, scheduled_at timestamp(6),
            duration_minutes integer default 50, status integer not null default 0, location varchar,
            notes text, created_at timestamp(6) not null default now(), updated_at timestamp(6) not null default now()
        );
        insert into users (first_name, phone_number, locale, time_zone)
            values ('Juan', '+34612345678', 'es', 'Europe/Madrid');
        insert into appointments (user_id, scheduled_at, location) values (1, 'NEXT-06-24 08:00', 'Main Street 1');";
    let change = "update appointments set scheduled_at = 'NEXT-06-25 09:30', updated_at = now()";
    insta::assert_snapshot!(story(schema, "appointments", change, "34612345678").await);
}

/// The phone stands two tables away: in a profile that has one row for each user.
#[tokio::test]
async fn django() {
    let schema = "
        create table auth_user (
            id integer primary key, username varchar(150) not null unique, first_name varchar(150) not null,
            last_name varchar(150) not null, email varchar(254) not null, password varchar(128) not null
        );
        create table accounts_profile (
            id integer primary key, user_id integer not null unique references auth_user,
            mobile varchar(20) not null, language varchar(10) not null, whatsapp_consent_at timestamptz
        );
        create table shop_order (
            id integer primary key, customer_id integer not null references auth_user, total numeric(10,2) not null
        );
        create table shop_delivery (
            id integer primary key, order_id integer not null references shop_order,
            window_start timestamptz not null, window_end timestamptz not null,
            status varchar(20) not null, address varchar(200) not null, courier_note text not null,
            shipped_at timestamptz
        );
        insert into auth_user values (5, 'maria', 'Maria', 'L', 'm@example.com', 'x');
        insert into accounts_profile values (1, 5, '+1 212 200 0001', 'en', now());
        insert into shop_order values (9, 5, 10);
        insert into shop_delivery values
            (17, 9, 'NEXT-06-24 10:00Z', 'NEXT-06-24 12:00Z', 'packed', '1 Main Street', '', null);";
    let change = "update shop_delivery set window_start = 'NEXT-06-25 10:00Z', window_end = 'NEXT-06-25 12:00Z'";
    insta::assert_snapshot!(story(schema, "shop_delivery", change, "12122000001").await);
}

/// Keys of two columns, also in the foreign key; a range.
#[tokio::test]
async fn composite_keys() {
    let schema = "
        create schema studio;
        create table studio.member (
            studio_no integer, member_no integer, full_name text not null, mobile_phone text,
            opted_out boolean not null default false, primary key (studio_no, member_no)
        );
        create table studio.booking (
            studio_no integer, booking_no integer, member_no integer not null, during tstzrange not null,
            room text, primary key (studio_no, booking_no),
            foreign key (studio_no, member_no) references studio.member
        );
        insert into studio.member values (1, 7, 'Maria', '+1 212 200 0001'), (2, 7, 'Juan', '+34612345678');
        insert into studio.booking values
            (1, 3, 7, '[NEXT-06-24 10:00Z,NEXT-06-24 11:00Z)', 'Blue'),
            (2, 3, 7, '[NEXT-06-24 10:00Z,NEXT-06-24 11:00Z)', 'Red');";
    let change =
        "update studio.booking set during = '[NEXT-06-25 10:00Z,NEXT-06-25 11:30Z)', room = 'Green'
                   where studio_no = 2";
    insta::assert_snapshot!(story(schema, "studio.booking", change, "34612345678").await);
}

/// Partitions by month, a domain, an enum, an amount with its currency.
#[tokio::test]
async fn partitioned() {
    let schema = "
        create schema logistics;
        create type logistics.shipment_state as enum ('label_created', 'in_transit', 'out_for_delivery', 'cancelled');
        create domain logistics.phone as text check (value ~ '^[+0-9 ]+$');
        create table logistics.consignee (
            id bigint primary key, name text, contact_phone logistics.phone, lang text, whatsapp_opt_in boolean
        );
        create table logistics.shipment (
            id bigint, booked_on date, consignee_id bigint references logistics.consignee,
            state logistics.shipment_state not null default 'label_created', eta timestamptz,
            carrier text, cod_amount numeric(10,2), currency char(3), payload jsonb,
            primary key (id, booked_on)
        ) partition by range (booked_on);
        create table logistics.shipment_one partition of logistics.shipment for values from ('2000-01-01') to ('2050-01-01');
        create table logistics.shipment_two partition of logistics.shipment default;
        insert into logistics.consignee values (1, 'Maria', '+12122000001', 'en', true);
        insert into logistics.shipment values
            (4, '2020-02-03', 1, 'label_created', 'NEXT-06-24 10:00Z', 'Swift', 20, 'EUR', null);";
    let change = "update logistics.shipment set state = 'out_for_delivery', cod_amount = 25.50, payload = '{}'";
    insta::assert_snapshot!(story(schema, "logistics.shipment", change, "12122000001").await);
}

/// Name and phone stand in the table itself; column names that are words of SQL and of templates.
#[tokio::test]
async fn the_phone_in_the_table_itself() {
    let schema = r#"
        create table "order" (
            id uuid primary key default gen_random_uuid(), "customerName" text not null,
            "customerPhone" varchar(20) not null, "from" date, "to" date, "set" numeric,
            "status" text not null default 'new', "on hold" boolean
        );
        insert into "order" ("customerName", "customerPhone", "from", "to", status)
            values ('Maria', '+12122000001', 'NEXT-06-24', 'NEXT-06-26', 'new'), ('Juan', '+34612345678', null, null, 'cancelled');"#;
    let change = r#"update "order" set "from" = 'NEXT-07-01', "to" = 'NEXT-07-03' where "customerName" = 'Maria'"#;
    insta::assert_snapshot!(story(schema, r#""order""#, change, "12122000001").await);
}

/// No foreign keys at all, and no primary key: names and a unique index tell.
#[tokio::test]
async fn without_foreign_keys() {
    let schema = r#"
        create table customers (id integer primary key, name text, phone bigint, tz text);
        create table deliveries (
            number integer not null unique, customer_id integer, "deliveryDate" date not null, "timeSlot" text, status text
        );
        insert into customers values (1, 'Maria', 12122000001, 'America/New_York');
        insert into deliveries values (8, 1, 'NEXT-06-24', '10-12', 'planned'), (9, 1, 'NEXT-06-24', '10-12', 'canceled');"#;
    let schema =
        schema.replace("phone bigint", "phone text").replace("12122000001,", "'+12122000001',");
    let change = "update deliveries set status = 'canceled' where number = 8";
    insta::assert_snapshot!(story(&schema, "deliveries", change, "12122000001").await);
}

#[tokio::test]
async fn what_cannot_be_suggested_is_said_and_a_file_is_never_overwritten() {
    let cluster = crate::harness::cluster();
    let url = cluster.url("postgres");
    let db = rowbell_lab::demo::testbed::connect(&url).await.unwrap();
    db.batch_execute(
        "create table shelf (id integer primary key, room text); create table scrap (text text);
         create view sight as select * from shelf",
    )
    .await
    .unwrap();
    let suggest = |table: &str| rowbell(&["suggest", table, "--database", &url]).unwrap_err();
    let mut said: String = ["shelf", "scrap", "sight", "shelv", "a b"].map(suggest).concat();
    let folder = Scratch::new("test").unwrap();
    let file = folder.path().join("rowbell.toml");
    let path = file.to_str().unwrap();
    said += &rowbell(&["--config", path, "init"]).unwrap_err();
    std::fs::write(&file, "mine").unwrap();
    let all =
        ["--config", path, "init", "--database", &url, "--channel-id", "ODI1", "--namespace", "n"];
    said += &rowbell(&all).unwrap_err().replace(path, "FILE");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    said += &rowbell(&[&all[..], &["--force"]].concat()).unwrap().replace(path, "FILE");
    assert_ne!(std::fs::read_to_string(&file).unwrap(), "mine");
    insta::assert_snapshot!(said);
}
