//! Words of the database that are enums of ours. One that a newer release wrote is an error.

use std::error::Error as StdError;
use std::str::FromStr;

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Error, Row};

use crate::domain::message::state::State;

/// A text that is a word of an enum.
struct Word<T>(T);

impl<'a, T: FromStr<Err: StdError + Send + Sync + 'static>> FromSql<'a> for Word<T> {
    fn from_sql(
        sql_type: &Type,
        raw: &'a [u8],
    ) -> Result<Word<T>, Box<dyn StdError + Sync + Send>> {
        Ok(Word(<&str>::from_sql(sql_type, raw)?.parse()?))
    }

    fn accepts(sql_type: &Type) -> bool {
        <&str as FromSql>::accepts(sql_type)
    }
}

/// The word of a column.
pub fn word<T>(row: &Row, column: &str) -> Result<T, Error>
where
    T: FromStr<Err: StdError + Send + Sync + 'static>,
{
    row.try_get::<_, Word<T>>(column).map(|word| word.0)
}

/// The word of a column that may be null.
pub fn maybe<T>(row: &Row, column: &str) -> Result<Option<T>, Error>
where
    T: FromStr<Err: StdError + Send + Sync + 'static>,
{
    Ok(row.try_get::<_, Option<Word<T>>>(column)?.map(|word| word.0))
}

/// State and reason of a message; None when they are of a newer release.
pub fn state(row: &Row) -> Result<Option<State>, Error> {
    Ok(State::parse(row.try_get("state")?, row.try_get("reason")?))
}
