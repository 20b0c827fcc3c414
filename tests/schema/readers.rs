//! What analysts and support may see: each of them tries all that there is.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::ground::{Database, lines, refusal};

/// Stands in front of every text that a person may have written, and in no name of the configuration.
const PERSONAL: &str = "Maria 12025550143";

/// Columns of texts that come from the configuration, or name a language, a country or a time zone.
const CONFIGURED: [&str; 18] = [
    "watch",
    "watches",
    "channel",
    "endpoint",
    "template",
    "language",
    "waits_for_template",
    "waits_for_language",
    "recipient_locale",
    "recipient_time_zone",
    "recipient_country",
    "time_zone",
    "price_category",
    "pricing_model",
    "country",
    "category",
    "currency",
    "budget",
];

/// A database in which every view has rows, and every text of a person is one that can be found.
async fn marked() -> (Database, Client) {
    let (database, owner) = Database::migrated().await;
    owner.batch_execute(include_str!("../docs/history.sql")).await.unwrap();
    let texts = "
select c.oid::regclass::text, string_agg(format('%1$I = %2$s', a.attname, case a.atttypid
           when 'jsonb'::regtype then format('jsonb_build_object(%L, %I)', $1, a.attname)
           when 'text[]'::regtype then format('array_prepend(%L, %I)', $1, a.attname)
           else format('%L || '' '' || %I', $1, a.attname) end), ', ')
  from pg_class as c
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = 'rowbell'::regnamespace and c.relkind = 'r'
   and c.relname not in ('schema_object', 'installation')
   and a.atttypid in ('text'::regtype, 'jsonb'::regtype, 'text[]'::regtype) and a.attname <> all ($2)
 group by c.oid";
    // The keys of the ledger may not be empty, nor may a scope that is empty for all watches.
    let configured: Vec<&str> = CONFIGURED.iter().copied().chain(["scope"]).collect();
    for row in owner
        .query(&texts.replace("$1", &format!("'{PERSONAL}'")).replace("$2", "$1"), &[&configured])
        .await
        .unwrap()
    {
        let (table, assignments): (String, String) = (row.get(0), row.get(1));
        owner.batch_execute(&format!("update {table} set {assignments}")).await.unwrap();
    }
    (database, owner)
}

/// Each column of each relation of both schemas: "rowbell.message", "summary".
async fn columns(owner: &Client) -> Vec<(String, String)> {
    let query = "
select c.oid::regclass::text, quote_ident(a.attname)
  from pg_class as c
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace in ('rowbell'::regnamespace, 'rowbell_report'::regnamespace) and c.relkind in ('r', 'v', 'S', 'm')
 order by c.relname, a.attnum";
    owner.query(query, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// All that somebody reads in one column, or the error.
async fn read(client: &Client, table: &str, column: &str) -> Result<Vec<String>, String> {
    match client.simple_query(&format!("select {column}::text from {table}")).await {
        Ok(messages) => Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect()),
        Err(error) => {
            Err(error.as_db_error().map_or(error.to_string(), |db| db.message().to_owned()))
        }
    }
}

/// A column that is new in a view is seen by nobody in the role before somebody grants it; and one that shows anything
/// of a person fails here.
#[tokio::test]
async fn analysts_see_nothing_of_any_person() {
    let (database, owner) = marked().await;
    let analyst =
        database.client_as(&database.user("analyst", Some("rowbell_analyst")).await).await;
    let support =
        database.client_as(&database.user("support", Some("rowbell_support")).await).await;
    let (mut seen, mut kept, mut personal) = (0, Vec::new(), 0);
    for (table, column) in columns(&owner).await {
        let is_view = table.starts_with("rowbell_report.");
        match read(&analyst, &table, &column).await {
            Ok(values) => {
                assert!(is_view, "an analyst reads {table}.{column}");
                let found =
                    values.iter().find(|v| v.contains("Maria") || v.contains("12025550143"));
                assert_eq!(found, None, "{table}.{column}");
                seen += 1;
            }
            Err(why) if is_view => {
                assert!(why.starts_with("permission denied for view"), "{table}.{column}: {why}");
                kept.push(format!("{}.{column}", table.replace("rowbell_report.", "")));
            }
            Err(why) => assert_eq!(why, "permission denied for schema rowbell", "{table}.{column}"),
        }
        match read(&support, &table, &column).await {
            Ok(values) => {
                assert!(is_view, "support reads {table}.{column}");
                personal += usize::from(values.iter().any(|v| v.contains(PERSONAL)));
            }
            Err(why) => assert_eq!(why, "permission denied for schema rowbell", "{table}.{column}"),
        }
    }
    assert!(
        seen > 120 && personal > 30,
        "the question itself must find something: {seen}, {personal}"
    );
    insta::assert_snapshot!(kept.join("\n"));
}

/// Whoever is counted is counted the same everywhere, until the site makes a new key.
#[tokio::test]
async fn a_phone_has_one_hash_in_all_views_and_another_one_with_another_key() {
    let (database, owner) = Database::migrated().await;
    owner.batch_execute(include_str!("../docs/history.sql")).await.unwrap();
    let analyst =
        database.client_as(&database.user("analyst", Some("rowbell_analyst")).await).await;
    let same = "
select count(distinct s.phone_hash) || ' ' || bool_and(s.phone_hash ~ '^[0-9a-f]{16}$')
       || ' ' || count(o.phone_hash) || ' ' || count(c.phone_hash) || ' ' || count(t.recipient_hash)
  from rowbell_report.message_status as s
  left join rowbell_report.opt_outs as o using (phone_hash)
  left join rowbell_report.consent as c using (phone_hash)
  left join rowbell_report.last_told as t on t.recipient_hash = s.phone_hash and t.message_id = s.message_id
 where s.phone_hash is not null";
    assert_eq!(lines(&analyst, same).await, "5 true 2 2 4");
    let hashes =
        "select string_agg(phone_hash, ' ' order by message_id) from rowbell_report.message_status";
    let before = lines(&analyst, hashes).await;
    assert_eq!(lines(&analyst, hashes).await, before);
    owner.batch_execute("update rowbell.hash_key set key = default").await.unwrap();
    assert_ne!(lines(&analyst, hashes).await, before);
    // Nobody can try phones until one has the hash that they see.
    let tried = "select rowbell.keyed_hash('12025550143', '')";
    assert_eq!(refusal(&analyst, tried).await, "permission denied for schema rowbell");
}

#[tokio::test]
async fn analysts_and_support_change_nothing() {
    let (database, owner) = Database::migrated().await;
    for role in ["rowbell_analyst", "rowbell_support"] {
        let user = database.user("reader", Some(role)).await;
        let reader = database.client_as(&user).await;
        let all = columns(&owner).await;
        for (table, column) in &all {
            for statement in [
                format!("update {table} set {column} = null"),
                format!("insert into {table} ({column}) values (null)"),
                format!("delete from {table}"),
            ] {
                let said = refusal(&reader, &statement).await;
                // The tables are empty, so that only a value that may not be null could hide a right.
                let is_refused = said != "was allowed" && !said.contains("violates");
                assert!(is_refused, "{role}: {statement}: {said}");
            }
        }
        assert!(all.len() > 300, "the question itself must find something");
        owner.batch_execute(&format!("drop role {user}")).await.unwrap();
    }
}

/// What an earlier release granted, or somebody by hand, is taken back by the next migrate.
#[tokio::test]
async fn a_right_that_analysts_had_on_a_whole_view_is_taken_back() {
    let (database, mut owner) = Database::migrated().await;
    owner
        .batch_execute("grant select on rowbell_report.message_status to rowbell_analyst")
        .await
        .unwrap();
    rowbell::postgres::schema::migrate::migrate(&mut owner).await.unwrap();
    let analyst =
        database.client_as(&database.user("analyst", Some("rowbell_analyst")).await).await;
    let all = "select * from rowbell_report.message_status";
    assert_eq!(refusal(&analyst, all).await, "permission denied for view message_status");
}
