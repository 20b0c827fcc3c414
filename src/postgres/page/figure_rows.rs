//! The figures of the page: each is one query over the reports, which an analyst can run as it stands.

use deadpool_postgres::Client;
use futures_util::TryStreamExt as _;
use tokio_postgres::{Error, SimpleQueryMessage};

use crate::postgres::capture::quoting::literal;
use crate::postgres::connection::statement::text;

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct FigureQuery {
    pub name: &'static str,
    /// The query with its head.
    text: &'static str,
    /// Whether its second column names what is counted in the third; else each column from the second on is counted.
    pub is_by_word: bool,
}

pub const FIGURES: [FigureQuery; 5] = [
    FigureQuery { name: "funnel", text: text!("page/figures/figure_funnel"), is_by_word: false },
    FigureQuery {
        name: "time_to_phone",
        text: text!("page/figures/figure_time_to_phone"),
        is_by_word: false,
    },
    FigureQuery { name: "failures", text: text!("page/figures/figure_failures"), is_by_word: true },
    FigureQuery { name: "weeks", text: text!("page/figures/figure_weeks"), is_by_word: true },
    FigureQuery { name: "cost", text: text!("page/figures/figure_cost"), is_by_word: true },
];

impl FigureQuery {
    /// What it shows, as a sentence.
    pub fn title(&self) -> &'static str {
        let head = self.text.lines().next().unwrap_or_default();
        head.split_once(": ").map_or(head, |(_, title)| title)
    }

    /// The query without its head.
    pub fn sql(&self) -> &'static str {
        self.text
            .split_once('\n')
            .map_or(self.text, |(_, sql)| sql)
            .trim_end()
            .trim_end_matches(';')
    }
}

/// What came of a query, as texts.
#[derive(Clone, Debug, Default)]
pub struct FigureRows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// Runs it by the clock of `zone`, in a transaction that may only read.
pub async fn read(
    client: &mut Client,
    figure: &FigureQuery,
    zone: &str,
) -> Result<FigureRows, Error> {
    let tx = client.build_transaction().read_only(true).start().await?;
    tx.batch_execute(&in_zone(zone)).await?;
    let mut found = FigureRows::default();
    for message in tx.simple_query(figure.sql()).await? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                found.columns = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                found.rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
            }
            _ => {}
        }
    }
    tx.commit().await?;
    Ok(found)
}

/// The same as CSV, as PostgreSQL writes it.
pub async fn csv(client: &mut Client, figure: &FigureQuery, zone: &str) -> Result<Vec<u8>, Error> {
    let tx = client.build_transaction().read_only(true).start().await?;
    tx.batch_execute(&in_zone(zone)).await?;
    let copy = format!("copy ({}) to stdout with (format csv, header)", figure.sql());
    let parts: Vec<_> = tx.copy_out(&copy).await?.try_collect().await?;
    tx.commit().await?;
    Ok(parts.concat())
}

fn in_zone(zone: &str) -> String {
    format!("set local time zone {}; set local enable_seqscan = on", literal(zone))
}
