//! Gaps: times in which a watch captured nothing, until somebody has caught up.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::{Client, Error};

use crate::postgres::connection::statement::{FromRows, row, statements, text};
use crate::postgres::connection::word::word;

/// Why nothing was captured. The words are those of `rowbell.gap_cause`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum GapCause {
    /// The trigger was missing or disabled.
    NoTrigger,
    /// There was no room to write changes down.
    Dropped,
}

row! {
    /// A gap that nobody has caught up with.
    #[derive(Clone, Debug)]
    pub struct Gap {
        pub watch: String,
        pub cause: GapCause = word,
        pub began_at: Timestamp,
        /// None: it goes on.
        pub ended_at: Option<Timestamp>,
    }
}

impl Gap {
    /// What it means, and what to do.
    pub fn sentence(&self) -> String {
        let watch = &self.watch;
        let minute = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let began = minute(self.began_at);
        match (self.cause, self.ended_at) {
            (GapCause::NoTrigger, None) => format!(
                "watch {watch}: nothing is captured since {began}; run `rowbell watch`, then `rowbell catch-up {watch}`"
            ),
            (GapCause::NoTrigger, Some(ended)) => format!(
                "watch {watch}: nothing was captured from {began} to {}; run `rowbell catch-up {watch}`",
                minute(ended)
            ),
            (GapCause::Dropped, _) => format!(
                "watch {watch}: changes may have been dropped before {began}, because there was no room for them; run `rowbell catch-up {watch}`"
            ),
        }
    }
}

statements! {
    /// Watches that capture nothing from now on.
    note(tx: &Transaction<'_>, silent: &[&str], capturing: &[&str], now: Timestamp)
        -> Vec<String> = "gap/gap_note";

    /// Watches of which changes may have been dropped since the last look.
    dropped(tx: &Transaction<'_>, watches: &[&str], now: Timestamp)
        -> Vec<String> = "gap/gap_dropped";
}

/// Somebody has caught up with a watch.
pub async fn close(client: &Client, watch: &str, now: Timestamp) -> Result<(), Error> {
    client.execute(text!("gap/gap_close"), &[&watch, &now]).await.map(drop)
}

/// The gaps that nobody has caught up with.
pub async fn open(client: &Client) -> Result<Vec<Gap>, Error> {
    FromRows::from_rows(&client.query(text!("gap/gap_open"), &[]).await?)
}
