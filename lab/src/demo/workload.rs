//! The back office: people who keep changing rows, as they do in a shop and a clinic.
//!
//! Windows and appointments only move forward, so that no two messages of an entity say the same.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio_postgres::Client;

/// One thing somebody did.
#[derive(Clone, Debug)]
pub struct Edit {
    /// As people say it.
    pub what: String,
    /// Rows whose watched columns it changed.
    pub changes: u64,
}

/// Makes edits, one at a time.
pub struct Workload {
    client: Client,
    rng: StdRng,
    deliveries: i64,
    appointments: i64,
}

impl Workload {
    /// A back office with as many deliveries and appointments, numbered from 1.
    pub fn new(client: Client, seed: u64, deliveries: i64, appointments: i64) -> Workload {
        Workload { client, rng: StdRng::seed_from_u64(seed), deliveries, appointments }
    }

    /// Somebody does something.
    pub async fn edit(&mut self) -> Result<Edit, tokio_postgres::Error> {
        let delivery = self.rng.random_range(1..=self.deliveries);
        match self.rng.random_range(0..100) {
            0..=34 => self.move_window(delivery).await,
            35..=49 => self.change_address(delivery).await,
            50..=59 => self.send_driver(delivery).await,
            60..=79 => self.move_appointment().await,
            80..=87 => self.note(delivery).await,
            88..=94 => self.change_mind(delivery).await,
            _ => self.tidy_up().await,
        }
    }

    async fn move_window(&mut self, id: i64) -> Result<Edit, tokio_postgres::Error> {
        let hours: i32 = self.rng.random_range(1..=3);
        let sql = "update delivery set window_start = window_start + make_interval(hours => $2),
                          window_end = window_end + make_interval(hours => $2), updated_at = now()
                    where id = $1";
        let changes = self.client.execute(sql, &[&id, &hours]).await?;
        Ok(Edit { what: format!("delivery {id} comes {hours} h later"), changes })
    }

    async fn change_address(&mut self, id: i64) -> Result<Edit, tokio_postgres::Error> {
        let number: i32 = self.rng.random_range(100..1_000_000);
        let sql = "update delivery set address = $2 || ' Harbor Road' where id = $1";
        let changes = self.client.execute(sql, &[&id, &number.to_string()]).await?;
        Ok(Edit { what: format!("delivery {id} goes to another address"), changes })
    }

    async fn send_driver(&mut self, id: i64) -> Result<Edit, tokio_postgres::Error> {
        let sql = "update delivery set status = 'on_the_way' where id = $1 and status = 'planned'";
        let changes = self.client.execute(sql, &[&id]).await?;
        Ok(Edit { what: format!("delivery {id} is on the way"), changes })
    }

    async fn move_appointment(&mut self) -> Result<Edit, tokio_postgres::Error> {
        let id = self.rng.random_range(1..=self.appointments);
        let sql =
            "update appointment set starts_at = starts_at + interval '90 minutes' where id = $1";
        let changes = self.client.execute(sql, &[&id]).await?;
        Ok(Edit { what: format!("appointment {id} moves by 90 min"), changes })
    }

    /// No watched column: nobody is told.
    async fn note(&mut self, id: i64) -> Result<Edit, tokio_postgres::Error> {
        let sql =
            "update delivery set driver_note = 'ring twice', updated_at = now() where id = $1";
        self.client.execute(sql, &[&id]).await?;
        Ok(Edit {
            what: format!("delivery {id} gets a note for the driver (not watched)"),
            changes: 0,
        })
    }

    /// There and back within the quiet period: nobody is told.
    async fn change_mind(&mut self, id: i64) -> Result<Edit, tokio_postgres::Error> {
        let sql = "update delivery set address = $2 || address where id = $1";
        let back = "update delivery set address = substr(address, 7) where id = $1";
        let there = self.client.execute(sql, &[&id, &"wrong "]).await?;
        let again = self.client.execute(back, &[&id]).await?;
        Ok(Edit {
            what: format!("delivery {id} is changed by mistake and set right"),
            changes: there + again,
        })
    }

    /// A bulk edit that customers must not hear about.
    async fn tidy_up(&mut self) -> Result<Edit, tokio_postgres::Error> {
        let tx = self.client.transaction().await?;
        tx.batch_execute("set local rowbell.mute = 'cleaning up addresses'").await?;
        let sql = "update delivery set address = address || '.' where id % 10 = 0";
        let changes = tx.execute(sql, &[]).await?;
        tx.commit().await?;
        Ok(Edit { what: format!("bulk edit of {changes} addresses, muted"), changes })
    }
}
