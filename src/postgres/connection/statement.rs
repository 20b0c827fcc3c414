//! How statements of `sql/queries` are run, and how their rows become values.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::FromSql;
use tokio_postgres::{Error, Row};

/// Whether an error says nothing of the statement: there is no connection, or the server as a whole did not do it (it
/// ends, has no room, waited for a lock for too long). The same again works later.
pub fn is_of_the_server(error: &Error) -> bool {
    match error.code().map(SqlState::code).and_then(|code| code.get(..2)) {
        Some(class) => ["08", "25", "40", "53", "55", "57", "58"].contains(&class),
        // What else fails without an answer of the server is a value that could not be read.
        None => {
            error.is_closed()
                || std::error::Error::source(error)
                    .is_none_or(|source| source.is::<std::io::Error>())
        }
    }
}

/// Runs a named statement: `named!(transaction, "settle/settle_lock", &[&id])`.
macro_rules! named {
    ($tx:expr, $name:literal, $params:expr) => {{
        let statement =
            $tx.prepare_cached($crate::postgres::connection::statement::text!($name)).await?;
        $tx.query(&statement, $params).await
    }};
}

/// The text of a statement of `sql/queries`.
macro_rules! text {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/queries/", $name, ".sql"))
    };
}

/// Functions whose arguments are the parameters of their statement, in this order.
macro_rules! statements {
    ($($(#[$doc:meta])* $function:ident($tx:ident: $client:ty $(, $arg:ident: $type:ty)* $(,)?)
        -> $output:ty = $name:literal;)*) => {$(
        $(#[$doc])*
        pub async fn $function($tx: $client, $($arg: $type),*) -> Result<$output, tokio_postgres::Error> {
            let rows = $crate::postgres::connection::statement::named!($tx, $name, &[$(&$arg),*])?;
            $crate::postgres::connection::statement::FromRows::from_rows(&rows)
        }
    )*};
}

/// Structs whose fields are columns of the same name; `= read` names a function that reads another type.
macro_rules! row {
    (@read $row:ident, $column:expr) => { $row.try_get($column)? };
    (@read $row:ident, $column:expr, $read:path) => { $read($row, $column)? };
    ($($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$doc:meta])* pub $field:ident: $type:ty $(= $read:path)?),* $(,)?
    })*) => {$(
        $(#[$meta])* $vis struct $name { $($(#[$doc])* pub $field: $type),* }

        impl $crate::postgres::connection::statement::FromRow for $name {
            fn from_row(row: &tokio_postgres::Row) -> Result<$name, tokio_postgres::Error> {
                Ok($name { $($field: $crate::postgres::connection::statement::row!(@read row, stringify!($field) $(, $read)?)),* })
            }
        }
    )*};
}

pub(crate) use {named, row, statements, text};

/// One value of each item, as the array that a statement takes.
pub fn array<'a, T, U>(items: &'a [T], value: impl Fn(&'a T) -> U) -> Vec<U> {
    items.iter().map(value).collect()
}

/// What one row is read into. A single value is the first column, a tuple the first columns.
pub trait FromRow: Sized {
    fn from_row(row: &Row) -> Result<Self, Error>;
}

/// What all rows of a statement are read into: nothing, a list, the first row, or how many there are.
pub trait FromRows: Sized {
    fn from_rows(rows: &[Row]) -> Result<Self, Error>;
}

impl FromRow for i64 {
    fn from_row(row: &Row) -> Result<i64, Error> {
        row.try_get(0)
    }
}

impl FromRow for String {
    fn from_row(row: &Row) -> Result<String, Error> {
        row.try_get(0)
    }
}

impl<A: for<'a> FromSql<'a>, B: for<'a> FromSql<'a>> FromRow for (A, B) {
    fn from_row(row: &Row) -> Result<(A, B), Error> {
        Ok((row.try_get(0)?, row.try_get(1)?))
    }
}

impl FromRows for () {
    fn from_rows(_: &[Row]) -> Result<(), Error> {
        Ok(())
    }
}

impl<T: FromRow> FromRows for Vec<T> {
    fn from_rows(rows: &[Row]) -> Result<Vec<T>, Error> {
        rows.iter().map(T::from_row).collect()
    }
}

impl<T: FromRow> FromRows for Option<T> {
    fn from_rows(rows: &[Row]) -> Result<Option<T>, Error> {
        rows.first().map(T::from_row).transpose()
    }
}

impl FromRows for usize {
    fn from_rows(rows: &[Row]) -> Result<usize, Error> {
        Ok(rows.len())
    }
}
