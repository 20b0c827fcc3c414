//! Looks at the tables of the business, for `rowbell suggest`. Changes nothing.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Error};

use crate::domain::value::column_kind::ColumnKind;
use crate::suggest::survey::{Link, SurveyColumn, SurveyTable, singular, words};

/// Rows that are looked at for the values of a code.
const SAMPLE: i64 = 1_000;
/// A code with more values is none.
const MOST_VALUES: usize = 12;

/// Every table, by its oid.
pub type Survey = BTreeMap<u32, SurveyTable>;

/// All tables with their columns and keys.
pub async fn survey(client: &Client) -> Result<Survey, Error> {
    let mut tables = columns(client).await?;
    let query = include_str!("../../sql/queries/suggest/suggest_keys.sql");
    for row in client.query(query, &[]).await? {
        let Some(table) = tables.get_mut(&row.try_get::<_, u32>(0)?) else { continue };
        let columns: Vec<String> = row.try_get(2)?;
        match row.try_get::<_, &str>(1)? {
            "p" => table.key = columns,
            "u" => table.uniques.push(columns),
            _ => table.links.push(Link {
                columns,
                to: row.try_get(3)?,
                to_columns: row.try_get(4)?,
                is_declared: true,
            }),
        }
    }
    let guessed: Vec<(u32, Link)> =
        tables.values().flat_map(|table| guesses(table, &tables)).collect();
    for (oid, link) in guessed {
        if let Some(table) = tables.get_mut(&oid) {
            table.links.push(link);
        }
    }
    Ok(tables)
}

async fn columns(client: &Client) -> Result<Survey, Error> {
    let mut tables = Survey::new();
    let query = include_str!("../../sql/queries/suggest/suggest_columns.sql");
    for row in client.query(query, &[]).await? {
        let values: Vec<String> = row.try_get(8)?;
        let column = SurveyColumn {
            name: row.try_get(3)?,
            quoted: row.try_get(4)?,
            type_name: row.try_get(5)?,
            is_nullable: row.try_get(6)?,
            is_generated: row.try_get(7)?,
            is_enum: !values.is_empty(),
            values,
            lies_ahead: None,
            is_postal_state: false,
        };
        let oid = row.try_get(0)?;
        let table = tables.entry(oid).or_default();
        table.oid = oid;
        table.quoted = row.try_get(1)?;
        table.name = row.try_get(2)?;
        table.columns.push(column);
    }
    Ok(tables)
}

/// `customer_id` without a foreign key most likely means a row of table `customer` or `customers`; in a table
/// `shop_order`, one of `shop_customers`; and `ship_address_id` one of `addresses`.
fn guesses(table: &SurveyTable, tables: &Survey) -> Vec<(u32, Link)> {
    let link = |column: &SurveyColumn| {
        let mut name = words(&column.name);
        let is_id = name.len() > 1 && name.pop().as_deref() == Some("id");
        let is_linked = table.links.iter().any(|link| link.columns.contains(&column.name));
        if !is_id || is_linked {
            return None;
        }
        let own = words(&table.name);
        let is_keyed = |other: &&SurveyTable| {
            let key = other.key.first().filter(|_| other.key.len() == 1);
            key.and_then(|key| other.column(key)).is_some_and(|k| k.type_name == column.type_name)
        };
        let called = |wanted: &[String]| {
            let wanted = singular(&wanted.concat());
            tables.values().filter(is_keyed).find(|other| {
                let name = words(&other.name);
                let short = name.strip_prefix(&own[..1]).filter(|_| own.len() > 1);
                let is_it = |name: &[String]| singular(&name.concat()) == wanted;
                is_it(&name) || short.is_some_and(is_it)
            })
        };
        let other = called(&name).or_else(|| called(&name[name.len() - 1..]))?;
        Some((
            table.oid,
            Link {
                columns: vec![column.name.clone()],
                to: other.oid,
                to_columns: other.key.clone(),
                is_declared: false,
            },
        ))
    };
    table.columns.iter().filter_map(link).collect()
}

/// The oid of a table as PostgreSQL finds it; None: there is no such table.
pub async fn find(client: &Client, table: &str) -> Result<Option<u32>, Error> {
    match client.query_opt("select to_regclass($1)::oid", &[&table]).await {
        Ok(row) => Ok(row.and_then(|row| row.get(0))),
        // A text that is no name at all, such as "a b".
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes which values the codes of a table have, and which moments lie ahead, in some of its rows.
pub async fn see_values(client: &Client, table: &mut SurveyTable) -> Result<(), Error> {
    let rows = table.quoted.clone();
    for column in table.columns.iter_mut().filter(|column| column.is_code() && !column.is_enum) {
        column.values = codes(client, &rows, column).await?;
    }
    let latest = match table.key.first().and_then(|key| table.column(key)) {
        Some(key) => format!("order by t.{} desc", key.quoted),
        None => String::new(),
    };
    for column in table.columns.iter_mut().filter(|column| column.is_moment()) {
        let end = match column.kind() {
            ColumnKind::Range(_) => format!("upper(t.{})", column.quoted),
            _ => format!("t.{}", column.quoted),
        };
        let query = format!(
            "select bool_or(seen.until::timestamptz >= current_date)
               from (select {end} as until from {rows} as t {latest} limit {SAMPLE}) as seen"
        );
        column.lies_ahead = client.query_one(&query, &[]).await?.try_get(0)?;
    }
    let postal: Vec<bool> = table.columns.iter().map(|c| table.is_postal_state(c)).collect();
    for (column, is_postal_state) in table.columns.iter_mut().zip(postal) {
        column.is_postal_state = is_postal_state;
    }
    Ok(())
}

/// Notes which kinds of contacts the tables of contacts hold.
pub async fn see_contacts(client: &Client, tables: &mut Survey) -> Result<(), Error> {
    for table in tables.values_mut() {
        let Some((_, kind)) = table.contact().filter(|(_, kind)| !kind.is_enum) else { continue };
        let (name, values) = (kind.name.clone(), codes(client, &table.quoted, kind).await?);
        for column in table.columns.iter_mut().filter(|column| column.name == name) {
            column.values.clone_from(&values);
        }
    }
    Ok(())
}

/// The values of a code in some rows; none where there are too many.
async fn codes(client: &Client, table: &str, column: &SurveyColumn) -> Result<Vec<String>, Error> {
    let query = format!(
        "select distinct seen.value from (select {}::text as value from {table} limit {SAMPLE}) as seen
          where seen.value <> '' order by 1 limit {}",
        column.quoted,
        MOST_VALUES + 1
    );
    let seen = client.query(&query, &[]).await?;
    Ok(match seen.len() <= MOST_VALUES {
        true => seen.iter().map(|row| row.get(0)).collect(),
        false => Vec::new(),
    })
}
