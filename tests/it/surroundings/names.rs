//! Columns and tables with the names that our own SQL uses, and queries that name columns as people write them.

use rowbell::operations::check;

use crate::harness::{CONFIG, HEAD, MARIA, SHOP, World};

/// Every name that stands for a row or a column in our queries and triggers.
const OURS: [&str; 46] = [
    "r",
    "t",
    "q",
    "c",
    "row",
    "rows",
    "item",
    "stored",
    "invented",
    "present",
    "changed",
    "gone",
    "said",
    "asked",
    "named",
    "found",
    "wanted",
    "recipient",
    "ledger",
    "entries",
    "before",
    "ordinal",
    "captured",
    "message_id",
    "entity_key",
    "is_fallback",
    "is_now",
    "was",
    "failure",
    "old",
    "new",
    "this",
    "watch",
    "layout",
    "operation",
    "key",
    "value",
    "text",
    "name",
    "phone",
    "time_zone",
    "expires_at",
    "about",
    "tg_op",
    "select",
    "user",
];

/// A column `r` made the recipient query ambiguous, and a column `stored` made a preview fail.
#[tokio::test]
async fn columns_may_have_the_names_that_our_own_queries_use() {
    let columns: Vec<String> = OURS.iter().map(|name| format!("\"{name}\" text")).collect();
    let watched: Vec<String> = OURS.iter().map(|name| format!("\"{name}\"")).collect();
    let schema = format!(
        "create table thing (id int primary key, {}); insert into thing (id) values (1);",
        columns.join(", ")
    );
    let config = HEAD.replace("provider   =", "pair_burst = 0\nprovider   =")
        + &format!(
            "body = [\"you\", \"thing\", \"{{{{ summary }}}}\"]\n[watch.home_delivery]\ntable = \"thing\"\nchannel = \"main\"\n\
             template = \"service_change\"\nquiet_period = \"0s\"\ncolumns = [{}]\n\
             expires_at = \"coalesce(nullif(\\\"expires_at\\\", '')::timestamptz, 'infinity')\"\n\
             recipient = \"select 'you' as name, '+1 212 200 0001' as phone\"\n",
            watched.join(", ")
        );
    let mut world = World::over(&schema, &config, "").await;
    for (number, name) in OURS.into_iter().enumerate() {
        let value = if name == "expires_at" { "infinity" } else { "told" };
        world.sql(&format!("update thing set \"{name}\" = '{value}'")).await;
        world.settle().await;
        assert_eq!(world.read(MARIA).len(), number + 1, "{name}: {:?}", world.messages().await);
    }
    let mut client = world.stages.context.pool.get().await.unwrap();
    let report = check::online(&mut client, &world.config).await;
    assert_eq!(report.problems(), Vec::<String>::new());
    drop(client);
    world.sql("alter table thing add address text").await;
    assert!(!world.previewed().await.is_empty());
}

/// `where c.id = customer_id` is how people write it: `check` was content, and no message could be told.
#[tokio::test]
async fn a_query_may_name_columns_of_the_row_without_its_table() {
    let config = CONFIG.replace("= changed.customer_id", "= customer_id");
    let mut world = World::over(SHOP, &config, "").await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1, "{:?}", world.messages().await);
    world.sql("delete from delivery where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 2, "{:?}", world.messages().await);
    world.sql("insert into delivery (id, customer_id, address) values (3, 2, 'x')").await;
    world.sql("update delivery set customer_id = 1 where id = 3").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 3, "{:?}", world.messages().await);
}

/// A function of the business over the whole row, rows that are put together by `with` and `union`, and a comment at the
/// end.
#[tokio::test]
async fn a_query_may_be_of_any_shape() {
    let schema = format!(
        "{SHOP} create function owner_of(delivery) returns bigint language sql stable as $$ select $1.customer_id $$;
         create domain street as text; alter table delivery add column corner street;"
    );
    let shapes = [
        "select c.full_name as name, c.phone from customer c where c.id = owner_of(changed) -- the owner",
        "with found as (select * from customer where id = changed.customer_id) select full_name as name, phone from found;",
        "select full_name as name, phone from customer where id = customer_id and id = 1 \
         union all select full_name, phone from customer where id = customer_id and id = 2",
        "select c.full_name as name, c.phone from customer c \
         where c.id = (to_jsonb(changed) ->> 'customer_id')::bigint order by 1 limit 1",
        "select * from (values ('Maria', '+1 212 200 0001')) as v (name, phone) where changed.customer_id = 1",
    ];
    for shape in shapes {
        let (head, rest) = CONFIG.split_once("recipient    = \"\"\"").unwrap();
        let (_, rest) = rest.split_once("\"\"\"").unwrap();
        let config = format!("{head}recipient = \"\"\"\n{shape}\"\"\"{rest}");
        let mut world = World::over(&schema, &config, "").await;
        for (number, sql) in [
            "update delivery set address = 'moved' where id = 1",
            "delete from delivery where id = 1",
        ]
        .into_iter()
        .enumerate()
        {
            world.sql(sql).await;
            world.settle().await;
            let read = world.read(MARIA).len();
            assert_eq!(read, number + 1, "{shape}: {:?}", world.messages().await);
        }
    }
}
