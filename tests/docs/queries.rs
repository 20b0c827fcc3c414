//! Every query that a page shows runs, and gives what the page says that it gives.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rowbell::postgres::schema::migrate;
use rowbell_lab::demo::cluster::{Cluster, ClusterOptions};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::page::{Block, page, pages, root};

/// Never dropped; its guard ends it with this process.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let settings = vec![("timezone".to_owned(), "UTC".to_owned())];
    Cluster::start(ClusterOptions { settings, ..ClusterOptions::default() }).expect("a server")
});

async fn connect(database: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&CLUSTER.url(database), NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// A database of its own: the business's tables, our schema, and the small history.
pub async fn history() -> Client {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("docs_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let server = connect("postgres").await;
    server.batch_execute(&format!("create database {name} template template0")).await.unwrap();
    let mut client = connect(&name).await;
    client.batch_execute(include_str!("shop.sql")).await.unwrap();
    migrate::migrate(&mut client).await.unwrap();
    client.batch_execute(include_str!("history.sql")).await.unwrap();
    count_days(&client).await;
    client
}

/// The Python in which scripts/test installs what analysts read with.
pub fn analyst_python() -> PathBuf {
    let python = std::env::var_os("ROWBELL_ANALYST_PYTHON")
        .map_or_else(|| root().join("target/analyst-venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "this test needs pandas and Grafana's SDK: run scripts/test, which installs them"
    );
    python
}

/// What the daemon does.
async fn count_days(client: &Client) {
    let never = None::<jiff::Timestamp>;
    let touch = include_str!("../../sql/queries/day/day_touch.sql");
    client.execute(touch, &[&"UTC", &never, &never, &0_i64, &0_i64]).await.unwrap();
    let now: jiff::Timestamp = "2026-06-26T00:00:00Z".parse().unwrap();
    for day in ["2026-06-24", "2026-06-25"] {
        let count = include_str!("../../sql/queries/day/day_count.sql");
        client.execute(count, &[&day, &"UTC", &now]).await.unwrap();
        let measure = include_str!("../../sql/queries/day/day_measure.sql");
        client.execute(measure, &[&day, &"UTC"]).await.unwrap();
    }
}

/// The result of a query as the pages show it: names, a rule, rows, each column as wide as it needs to be.
async fn shown(client: &Client, query: &str) -> Result<String, String> {
    let words = |error: tokio_postgres::Error| format!("{:?}", error.as_db_error());
    let names = client.prepare(query.trim().trim_end_matches(';')).await.map_err(words)?;
    let names = names.columns().iter().map(|column| column.name().to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![names];
    for message in client.simple_query(query).await.map_err(words)? {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push((0..row.len()).map(|i| row.get(i).unwrap_or("").to_owned()).collect());
        }
    }
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join(" | ").trim_end().to_owned()
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.insert(1, rule.join("-+-"));
    if rows.len() == 1 {
        lines.push("(none)".to_owned());
    }
    Ok(lines.join("\n") + "\n")
}

#[tokio::test]
async fn each_result_is_the_one_that_the_page_shows() {
    let client = history().await;
    let blocks = page("docs/SQL.md").blocks();
    let mut wrong = String::new();
    let mut compared = 0;
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "sql") {
        let result = shown(&client, &block.text).await;
        let result = result.unwrap_or_else(|error| format!("{error}\n"));
        let Some(expected) = blocks.get(at + 1).filter(|next| next.language == "text") else {
            wrong += &format!("{}: shows no result; it is\n{result}", block.place);
            continue;
        };
        compared += 1;
        if expected.text != result {
            wrong += &format!("{}: the result is\n{result}\n", block.place);
        }
    }
    assert!(compared > 10, "the question itself must find something");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Those of the other pages change things: they run in their order, each as a whole.
#[tokio::test]
async fn every_statement_of_the_other_pages_runs() {
    let client = history().await;
    let pages = pages();
    let blocks: Vec<Block> = pages
        .iter()
        .filter(|page| page.name != "docs/SQL.md")
        .flat_map(|page| page.blocks_in("sql"))
        .collect();
    assert!(blocks.len() >= 3, "the question itself must find something");
    for block in blocks {
        if let Err(error) = client.batch_execute(&block.text).await {
            panic!("{}: {:?}", block.place, error.as_db_error());
        }
    }
}

/// Every view has a part of the page, which names every column of it: in the query or below.
#[tokio::test]
async fn every_view_and_every_column_is_told_of() {
    let client = history().await;
    let columns = "select table_name::text, column_name::text from information_schema.columns
                    where table_schema = 'rowbell_report' order by table_name, ordinal_position";
    let rows = client.query(columns, &[]).await.unwrap();
    assert!(rows.len() > 100, "the question itself must find something");
    let page = page("docs/SQL.md");
    for row in rows {
        let (view, column): (String, String) = (row.get(0), row.get(1));
        let section = page.section(&format!("## {view}"));
        let words = |text: &str| {
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(words(&section).contains(&column), "docs/SQL.md says nothing of {view}.{column}");
    }
}

/// The questions of a page: in words, the query, its result.
fn questions() -> Vec<(String, String, String)> {
    let section = page("docs/SQL.md").section("## Questions that come up");
    let mut parts = section.split("```");
    let mut questions = Vec::new();
    let mut words = String::new();
    while let Some(prose) = parts.next() {
        if let Some(last) = prose.trim().split("\n\n").last().filter(|last| !last.is_empty()) {
            words = last.to_owned();
        }
        let Some(block) = parts.next() else { break };
        match block.split_once('\n') {
            Some(("sql", query)) => {
                questions.push((words.clone(), query.to_owned(), String::new()))
            }
            Some(("text", result)) => questions.last_mut().unwrap().2 = result.to_owned(),
            _ => {}
        }
    }
    assert!(questions.len() > 10, "the question itself must find something");
    questions
}

/// For whoever wants them as a file.
#[test]
fn the_file_of_questions_has_those_of_the_page() {
    let mut file = "-- The questions of docs/SQL.md, as one file: psql -f questions.sql, or pandas.read_sql for each. \
                    By a user with rowbell_support;\n-- those without names, phones and words by one with \
                    rowbell_analyst, too.\n"
        .to_owned();
    for (words, query, _) in questions() {
        let words: String = words.lines().map(|line| format!("-- {line}\n")).collect();
        file += &format!("\n{words}{query}");
    }
    assert!(file == page("docs/questions.sql").text, "write into docs/questions.sql:\n{file}");
}

/// The URL of the history for somebody with `rowbell_support`.
async fn supporter() -> String {
    let client = history().await;
    let database = client.query_one("select current_database()::text", &[]).await.unwrap();
    let database: String = database.get(0);
    let user = format!("maria_{database}");
    let user_sql = format!("create role {user} login in role rowbell_support");
    client.batch_execute(&user_sql).await.unwrap();
    CLUSTER.url_as(&user, &database)
}

#[tokio::test]
async fn the_file_of_questions_runs_in_psql() {
    let url = supporter().await;
    let mut psql = CLUSTER.program("psql");
    psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(root().join("docs/questions.sql"))
        .arg(url);
    let output = psql.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let answers = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        answers.matches(" row)").count() + answers.matches(" rows)").count(),
        questions().len()
    );
}

/// With the columns and as many rows as the page shows.
#[tokio::test]
async fn the_file_of_questions_runs_in_pandas() {
    let url = supporter().await.replace("?sslmode=disable", "");
    let output = std::process::Command::new(analyst_python())
        .arg(root().join("tests/docs/analyst/questions.py"))
        .arg(url)
        .arg(root().join("docs/questions.sql"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let expected: Vec<String> = questions()
        .iter()
        .map(|(_, _, result)| {
            let names = result.lines().next().unwrap().split('|').map(str::trim);
            let rows = result.lines().skip(2).filter(|line| *line != "(none)").count();
            serde_json::to_string(&(names.collect::<Vec<_>>(), rows)).unwrap()
        })
        .collect();
    let read = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(read.replace(", ", ","), expected.join("\n") + "\n");
}
