//! Makes muted changes known: what they changed counts as told to everybody who knows of the entity, and what was
//! changed before them and not told yet is still to be told.
//!
//! Written before anything of the batch is decided. A message that is composed while a muted change of its entity
//! waits to be claimed is put off, so that no entry of the ledger holds a later change than the muted one.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::Transaction;

use crate::domain::value::change::NetChange;
use crate::domain::value::row::Row;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::recipients::key_of;
use crate::postgres::capture::row_query;
use crate::postgres::queries::claim::{MutedChange, NamedBoth};

/// The muted changes of a batch, in order of capture, folded to one for each entity. `is_handover` tells whether the
/// recipients of a watch may differ between two rows.
pub fn fold_muted<'a>(
    muted: impl IntoIterator<Item = &'a NetChange>,
    is_handover: impl Fn(&str, &Row, &Row) -> bool,
) -> Vec<MutedChange> {
    let mut folded: Vec<MutedChange> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    for net in muted {
        let handover = match (&net.old_row, &net.new_row) {
            (Some(old), Some(new)) => is_handover(&net.watch, old, new),
            _ => false,
        };
        let later = MutedChange {
            watch: net.watch.clone(),
            entity_key: net.entity_key.clone(),
            changed: changed(net),
            new_row: net.new_row.clone(),
            is_new: net.old_row.is_none(),
            is_handover: handover,
            recipient_columns: None,
            old_row: net.old_row.clone(),
            named: None,
        };
        match places.get(&(net.watch.as_str(), net.entity_key.as_str())) {
            Some(place) => fold_in(&mut folded[*place], later),
            None => {
                places.insert((&net.watch, &net.entity_key), folded.len());
                folded.push(later);
            }
        }
    }
    folded
}

/// The columns that a change gave another value; None: the row is gone.
fn changed(net: &NetChange) -> Option<Row> {
    let new = net.new_row.as_ref()?;
    let was = |column: &str| net.old_row.as_ref().and_then(|old| old.get(column));
    let differs = new.iter().filter(|(column, value)| was(column) != Some(value));
    Some(differs.map(|(column, value)| (column.clone(), value.clone())).collect())
}

fn fold_in(earlier: &mut MutedChange, later: MutedChange) {
    earlier.changed = match (earlier.changed.take(), later.changed) {
        (Some(mut changed), Some(more)) => {
            changed.extend(more);
            Some(changed)
        }
        (_, more) => more,
    };
    earlier.new_row = later.new_row;
    earlier.is_new |= later.is_new;
    earlier.is_handover |= later.is_handover;
}

/// Finds whose rows were muted: nobody else learns anything by it. A recipient query that cannot be run keeps no change
/// from being claimed.
pub async fn find_recipients(
    tx: &Transaction<'_>,
    watches: &HashMap<String, Arc<CompiledWatch>>,
    region: &str,
    muted: &mut [MutedChange],
) -> Result<(), StageError> {
    for (name, compiled) in watches {
        let mut of_watch: Vec<&mut MutedChange> =
            muted.iter_mut().filter(|muted| &muted.watch == name).collect();
        let rows = |muted: &MutedChange| [muted.old_row.clone(), muted.new_row.clone()];
        let asked: Vec<[Option<Row>; 2]> = of_watch.iter().map(|muted| rows(muted)).collect();
        let asked: Vec<&Row> = asked.iter().flatten().flatten().collect();
        tx.batch_execute("savepoint muted").await?;
        let named = row_query::named(tx, &compiled.named_sql, &asked).await;
        if named.is_err() {
            tx.batch_execute("rollback to savepoint muted").await?;
        }
        tx.batch_execute("release savepoint muted").await?;
        let mut named = named.ok().map(Vec::into_iter);
        for muted in &mut of_watch {
            muted.recipient_columns =
                muted.old_row.as_ref().map(|row| compiled.recipient_columns_of(row));
            let Some(named) = &mut named else { continue };
            let mut keys = |row: &Option<Row>| -> Vec<String> {
                let named = row.as_ref().and_then(|_| named.next()).unwrap_or_default();
                named.iter().map(|recipient| key_of(recipient, region)).collect()
            };
            muted.named =
                Some(NamedBoth { before: keys(&muted.old_row), after: keys(&muted.new_row) });
        }
    }
    Ok(())
}

/// The same for what the batch itself is about to tell: the row before its changes.
pub fn make_known(muted: &[MutedChange], nets: &mut [NetChange]) {
    for net in nets {
        let of_net = |m: &&MutedChange| (&m.watch, &m.entity_key) == (&net.watch, &net.entity_key);
        let Some(muted) = muted.iter().find(of_net) else { continue };
        net.old_row = match (net.old_row.take(), &muted.changed, &muted.new_row) {
            (_, _, None) => None,
            (Some(_), _, Some(new)) if muted.is_handover => Some(new.clone()),
            (Some(mut old), Some(changed), _) => {
                // A row that was somebody else's: its people learn nothing of what changed later.
                if has_recipients(&old, muted.recipient_columns.as_ref()) {
                    old.extend(changed.clone());
                }
                Some(old)
            }
            (None, _, Some(new)) if muted.is_new => Some(new.clone()),
            (old, _, _) => old,
        };
    }
}

fn has_recipients(row: &Row, recipient_columns: Option<&Row>) -> bool {
    let mut columns = recipient_columns.into_iter().flatten();
    columns.all(|(column, value)| row.get(column) == Some(value))
}
