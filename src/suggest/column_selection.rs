//! Which columns of a table customers would want to hear of, for `rowbell suggest`.

use crate::domain::value::column_kind::ColumnKind;
use crate::suggest::recipient_path::RecipientPath;
use crate::suggest::survey::{
    Link, SurveyColumn, SurveyTable, is_customer, is_payer, plain, words,
};

/// Columns that are watched, at most.
const MOST: usize = 8;
/// Foreign keys that are told by the name of their row, at most.
const MOST_LINKS: usize = 3;

const PLACES: [&str; 16] = [
    "address",
    "location",
    "place",
    "room",
    "street",
    "city",
    "venue",
    "carrier",
    "tracking",
    "driver",
    "doctor",
    "provider",
    "technician",
    "slot",
    "gate",
    "platform",
];
const AMOUNTS: [&str; 7] = ["price", "amount", "total", "fee", "cost", "balance", "duration"];
const QUANTITIES: [&str; 14] = [
    "quantity",
    "qty",
    "seats",
    "guests",
    "persons",
    "people",
    "pax",
    "adults",
    "children",
    "headcount",
    "pieces",
    "parcels",
    "nights",
    "participants",
];
/// What happened to a thing, as customers ask for it.
const EVENTS: [&str; 14] = [
    "shipped",
    "dispatched",
    "delivered",
    "packed",
    "picked",
    "arrived",
    "departed",
    "returned",
    "refunded",
    "confirmed",
    "canceled",
    "cancelled",
    "completed",
    "collected",
];
/// Columns of programs, not of customers.
const TECHNICAL: [&str; 21] = [
    "writedate",
    "created",
    "updated",
    "deleted",
    "modified",
    "password",
    "token",
    "secret",
    "hash",
    "version",
    "note",
    "internal",
    "comment",
    "tenant",
    "organization",
    "organisation",
    "company",
    "archived",
    "locked",
    "sync",
    "external",
];
/// "scheduled at" lies ahead; "shipped at" lies behind.
const AHEAD: [&str; 6] = ["scheduled", "planned", "expected", "estimated", "promised", "needed"];

/// What customers would hear of.
#[derive(Debug, Default)]
pub struct ColumnSelection<'a> {
    pub columns: Vec<&'a SurveyColumn>,
    /// Foreign keys that are told by the name of their row.
    pub links: Vec<(&'a SurveyColumn, &'a Link)>,
    pub left_out: Vec<&'a SurveyColumn>,
    /// Start and end of a window.
    pub windows: Vec<(&'a SurveyColumn, &'a SurveyColumn)>,
}

impl<'a> ColumnSelection<'a> {
    /// Chooses; `titled` says whether the table that a foreign key leads to has names.
    pub fn of(
        table: &'a SurveyTable,
        path: &RecipientPath<'_>,
        titled: impl Fn(&Link) -> bool,
    ) -> ColumnSelection<'a> {
        let mut selection = ColumnSelection::default();
        let mut chosen: Vec<(usize, &SurveyColumn)> = Vec::new();
        for column in &table.columns {
            if is_of_the_recipient(table, column, path) || table.key.contains(&column.name) {
                continue;
            }
            let link = table.links.iter().find(|link| link.columns == [column.name.as_str()]);
            match (link, interest(table, column)) {
                (Some(link), _) => {
                    // The name of another customer is nobody's business, nor is who pays.
                    let is_private = is_customer(&column.name) || is_payer(&column.name);
                    let fits = titled(link) && !is_technical(column) && !is_private;
                    if fits && selection.links.len() < MOST_LINKS {
                        selection.links.push((column, link));
                    } else {
                        selection.left_out.push(column);
                    }
                }
                (None, Some(rank)) => chosen.push((rank, column)),
                (None, None) => selection.left_out.push(column),
            }
        }
        chosen.sort_by_key(|(rank, _)| *rank);
        for (index, (_, column)) in chosen.into_iter().enumerate() {
            match index < MOST {
                true => selection.columns.push(column),
                false => selection.left_out.push(column),
            }
        }
        selection.windows = windows(&selection.columns);
        selection
    }

    /// The column after which a message is too late: the end of a window, or a moment that lies ahead.
    pub fn deadline(&self) -> Option<&'a SurveyColumn> {
        let end = self.windows.first().map(|(_, end)| *end);
        let moments = self.columns.iter().copied().filter(|column| column.is_moment());
        // A deadline that lies behind would end every message.
        end.into_iter().chain(moments).find(|column| match column.lies_ahead {
            Some(lies_ahead) => lies_ahead,
            None => !column.is_past() && !is_event(column) && !column.is_soft_delete(),
        })
    }
}

/// Name, phone and the like, where the table holds them itself; and the foreign key to who does.
fn is_of_the_recipient(
    table: &SurveyTable,
    column: &SurveyColumn,
    path: &RecipientPath<'_>,
) -> bool {
    if path.first_columns().contains(&column.name.as_str()) {
        return true;
    }
    let roles = [table.phone().map(|(c, _)| c), table.name_column(), table.locale(), table.zone()];
    let is_role = roles.into_iter().flatten().any(|role| role.name == column.name);
    path.steps.is_empty() && (is_role || column.is_address())
}

fn is_technical(column: &SurveyColumn) -> bool {
    let name = plain(&column.name);
    column.is_generated || TECHNICAL.iter().any(|word| name.contains(word))
}

/// How much it matters to a customer; lower is more. None: not at all.
fn interest(table: &SurveyTable, column: &SurveyColumn) -> Option<usize> {
    if column.is_soft_delete() {
        return Some(1);
    }
    if is_event(column) {
        // Where there is a status, it says so already.
        return (!table.columns.iter().any(SurveyColumn::is_code)).then_some(0);
    }
    if is_technical(column) || is_behind(column) || (column.is_moment() && column.is_past()) {
        return None;
    }
    let name = plain(&column.name);
    let has = |list: &[&str]| list.iter().any(|word| name.contains(word));
    match column.kind() {
        kind if kind.has_time() || matches!(kind, ColumnKind::Date) => Some(0),
        ColumnKind::Range(inner) if *inner == ColumnKind::Date => Some(0),
        _ if column.is_code() => Some(1),
        ColumnKind::Number { .. } | ColumnKind::Money if has(&AMOUNTS) => Some(3),
        ColumnKind::Number { scale: Some(0) } if is_quantity(column) => Some(3),
        _ if column.is_postal_state => Some(2),
        _ if column.is_text() && has(&PLACES) && !is_key(column) => Some(2),
        _ => None,
    }
}

/// "shipped_at", "canceledOn".
fn is_event(column: &SurveyColumn) -> bool {
    let name = words(&column.name);
    let is_tail = |word: &String| matches!(word.as_str(), "at" | "on" | "date" | "time");
    matches!(column.kind(), ColumnKind::TimestampTz | ColumnKind::Timestamp | ColumnKind::Date)
        && name.len() == 2
        && name.last().is_some_and(is_tail)
        && name.first().is_some_and(|word| EVENTS.contains(&word.as_str()))
}

/// A key of something that is not there, or not in this database: nobody can read it.
fn is_key(column: &SurveyColumn) -> bool {
    let name = words(&column.name);
    name.last().is_some_and(|last| matches!(last.as_str(), "id" | "uid" | "uuid" | "guid"))
}

fn is_quantity(column: &SurveyColumn) -> bool {
    let name = words(&column.name);
    name.iter().any(|word| QUANTITIES.contains(&word.as_str()))
        || matches!(plain(&column.name).as_str(), "partysize" | "groupsize")
}

/// "approved_at": the status says it already.
fn is_behind(column: &SurveyColumn) -> bool {
    let name = words(&column.name);
    let Some(stem) = name.len().checked_sub(2).and_then(|at| name.get(at)) else {
        return false;
    };
    let is_at =
        name.last().is_some_and(|last| matches!(last.as_str(), "at" | "on" | "date" | "time"));
    is_at && stem.ends_with("ed") && !AHEAD.contains(&stem.as_str())
}

fn windows<'a>(columns: &[&'a SurveyColumn]) -> Vec<(&'a SurveyColumn, &'a SurveyColumn)> {
    let ends = |start: &SurveyColumn| -> Vec<String> {
        let pairs = [
            ("starts", "ends"),
            ("start", "end"),
            ("begins", "ends"),
            ("begin", "end"),
            ("from", "to"),
            ("from", "until"),
        ];
        let name = plain(&start.name);
        pairs.iter().filter(|(a, _)| name.contains(a)).map(|(a, b)| name.replace(a, b)).collect()
    };
    let pair = |start: &&'a SurveyColumn| {
        let ends = ends(start);
        let fits = |end: &&&SurveyColumn| {
            end.kind() == start.kind()
                && end.kind() != ColumnKind::Time
                && ends.contains(&plain(&end.name))
        };
        Some((*start, *columns.iter().find(fits)?))
    };
    columns.iter().filter_map(pair).collect()
}
