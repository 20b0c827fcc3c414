//! Keeps a copy of a database from sending: a restored backup or a staging copy holds the messages of the
//! original, and the phones of real customers. Capture goes on in it, and nothing leaves until a person says
//! so (`rowbell adopt`).
//!
//! `rowbell.installation` keeps the environment, the server's identifier and the oid of the database
//! for which rowbell sent first. A copy on the same server has another oid; a dump restored elsewhere
//! another identifier; a snapshot of the whole server has both in common, and only the environment
//! of its configuration tells it apart.

use crate::domain::notice;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::connection::identity::{self, Identity};

/// At the start: the first daemon ever writes down what it sends for.
pub async fn begin(context: &Context) -> Result<(), StageError> {
    let client = context.pool.get().await?;
    context.set_system_identifier(identity::system_identifier(&client).await?);
    let environment = &context.config.installation.environment;
    identity::claim(&client, environment, context.system_identifier()).await?;
    Ok(())
}

/// Logs once why nothing leaves.
pub fn refuse(context: &Context, installed: &Identity) {
    if context.note_copy(true) {
        return;
    }
    tracing::error!(target: notice::DATABASE_IS_COPY,
        environment = context.config.installation.environment,
        installed.environment = installed.environment,
        installed.system_identifier = installed.system_identifier,
        installed.database_oid = installed.database_oid,
        system_identifier = context.system_identifier().unwrap_or("unknown"),
        "this database was installed for another environment or server: it is a copy, so nothing is sent, \
         and changes are captured; `rowbell adopt` lets it send"
    );
}

/// It is no copy, or not any more.
pub fn accept(context: &Context) {
    if context.note_copy(false) {
        tracing::info!("this database may send now: it was adopted");
    }
}
