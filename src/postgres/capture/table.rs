//! A watched table, as the catalog describes it.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row};

use crate::config::{TemplateSettings, Watch};
use crate::domain::value::change::Operation;
use crate::domain::value::column::{self, Columns};
use crate::domain::value::diff::{ColumnKind, ColumnKinds};
use crate::domain::value::versions::FoldRules;
use crate::error_chain::chain;
use crate::finding::{Finding, did_you_mean};
use crate::postgres::capture::huge_value::HugeValue;
use crate::postgres::capture::quoting::{field, quote};
use crate::postgres::connection::session_settings::FORMS;
use crate::postgres::schema::blocking_sessions::BlockingSessions;

/// Why a watch does not fit its table. Texts name the setting and what is there instead.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("watch.{watch}.table: found no table {table}{hint}")]
    NoTable { watch: String, table: String, hint: String },
    #[error("watch.{watch}.table: {table} is {found}, expected a table")]
    NotATable { watch: String, table: String, found: &'static str },
    #[error("watch.{watch}.{setting}: {table} has no column \"{column}\"{hint}")]
    NoColumn { watch: String, setting: &'static str, table: String, column: String, hint: String },
    #[error("watch.{watch}.key: {table} has no primary key; name the columns that identify a row")]
    NoKey { watch: String, table: String },
    #[error(
        "watch.{watch}.key: {table}.{column} may be null, and a null identifies no row; \
         alter table {table} alter column \"{column}\" set not null, or name other columns"
    )]
    NullableKey { watch: String, table: String, column: String },
    #[error(
        "watch.{watch}: {table}.{column} is computed when it is read, and no trigger sees it; \
         name the columns that it is made of instead: {expression}"
    )]
    Virtual { watch: String, table: String, column: String, expression: String },
    #[error("watch.{watch}: nothing was changed: {blockers}")]
    Locked { watch: String, blockers: BlockingSessions },
    #[error("watch.{watch}: {needed}")]
    Privilege { watch: String, needed: String, source: tokio_postgres::Error },
    #[error("a catalog query failed")]
    Query(#[from] tokio_postgres::Error),
}

impl CaptureError {
    /// The same as what a check finds: the setting, and what is wrong with it.
    pub fn finding(&self) -> Finding {
        let key = match self {
            CaptureError::NoTable { watch, .. } | CaptureError::NotATable { watch, .. } => {
                format!("watch.{watch}.table")
            }
            CaptureError::NoColumn { watch, setting, .. } => format!("watch.{watch}.{setting}"),
            CaptureError::NoKey { watch, .. } | CaptureError::NullableKey { watch, .. } => {
                format!("watch.{watch}.key")
            }
            CaptureError::Virtual { watch, .. }
            | CaptureError::Locked { watch, .. }
            | CaptureError::Privilege { watch, .. } => format!("watch.{watch}"),
            CaptureError::Query(_) => String::new(),
        };
        let text = chain(self);
        // The sentence begins with its setting.
        let what = text.strip_prefix(&format!("{key}: ")).unwrap_or(&text);
        Finding::new(key, what)
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    /// As `format_type` writes it.
    pub type_name: String,
    /// What the type comes down to: `enum`, `list date`, `range integer`; domains are their base.
    pub base_type: String,
    /// Whether `=` tells every change of a value.
    pub is_comparable: bool,
    /// The type without the domains around it, which may forbid null.
    pub bare_type: String,
    /// Whether JSON writes a value as a list or an object: in a key it stands as PostgreSQL's own text.
    pub has_structure: bool,
}

impl TableColumn {
    /// Whether blanks fill values up to the length of the type: they are left away wherever a value is read.
    pub fn is_padded(&self) -> bool {
        ColumnKind::of(&self.base_type) == ColumnKind::Padded
    }

    /// Whether a text may have more than some thousand characters.
    fn may_be_huge(&self) -> bool {
        const LONGEST: usize = 25_000;
        match self.base_type.strip_prefix("character varying") {
            Some(limit) => {
                let limit = limit.trim_matches(['(', ')']).parse();
                !limit.is_ok_and(|limit: usize| limit <= LONGEST)
            }
            None => self.base_type == "text",
        }
    }

    /// Whether it is a time of day with an offset: such an hour is of no zone.
    pub fn is_time_with_offset(&self) -> bool {
        let name = &self.base_type;
        name.starts_with("time")
            && !name.starts_with("timestamp")
            && name.ends_with(" with time zone")
    }

    pub fn is_domain(&self) -> bool {
        self.bare_type != self.type_name
    }
}

/// A table with what a watch wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedTable {
    pub watch: String,
    /// Quoted and qualified.
    pub table: String,
    pub oid: u32,
    pub key: Vec<String>,
    pub columns: Vec<TableColumn>,
    /// What the trigger stores: key, watched and context columns, and every column that the
    /// recipient query, the expiry or the words name.
    pub captured: Vec<String>,
    /// Settings of a session on which the text of what is stored depends.
    pub settings: BTreeSet<String>,
    /// Columns whose values each session writes in its own way, each with the setting that says how.
    pub unsettled: BTreeMap<String, String>,
    /// Columns whose values may hold bytes that are no text.
    pub bytewise: BTreeSet<String>,
    /// JSON columns into which watched paths lead.
    pub paths: BTreeSet<String>,
    /// Columns that decide in which partition a row lies.
    pub partitioned_by: Vec<String>,
    /// Where its rows lie that have to have triggers of their own: itself, and tables that inherit from it.
    pub parts: Vec<TablePart>,
}

/// A table with a trigger of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePart {
    pub oid: u32,
    /// Quoted and qualified.
    pub table: String,
}

impl WatchedTable {
    pub fn kinds(&self) -> ColumnKinds {
        self.columns.iter().map(|c| (c.name.clone(), ColumnKind::of(&c.base_type))).collect()
    }

    /// What the words and the diff know of the columns of a watch.
    pub fn columns_of(&self, watch: &Watch) -> Columns {
        column::columns(self.kinds(), &watch.columns, &watch.column)
    }

    /// How its changes are put together.
    pub fn fold_rules(&self, watch: &Watch) -> FoldRules {
        FoldRules {
            key: self.key.clone(),
            partitioned_by: self.partitioned_by.clone(),
            watched: self.watched(watch),
            on: watch.on.clone(),
        }
    }

    /// What its trigger fires for. A row that moves to another partition is deleted and inserted.
    pub fn fires_for(&self, watch: &Watch) -> Vec<Operation> {
        let may_move = !self.partitioned_by.is_empty() && watch.on.contains(&Operation::Update);
        let captured = [Operation::Insert, Operation::Update, Operation::Delete];
        let wanted = |operation: &Operation| may_move || watch.on.contains(operation);
        captured.into_iter().filter(wanted).collect()
    }

    /// What must change for a change to be recorded: the watched columns, the currencies of
    /// watched amounts, and the columns by which the row goes over to somebody else.
    pub fn watched(&self, watch: &Watch) -> Vec<String> {
        let mut watched = watch.columns.clone();
        for name in currency_columns(watch).into_iter().chain(self.handover_columns(watch)) {
            if !watched.contains(&name) {
                watched.push(name);
            }
        }
        watched
    }

    /// The columns that the recipient query asks `changed` for by name; where it names none so, the words of it that
    /// are columns.
    fn handover_columns(&self, watch: &Watch) -> Vec<String> {
        let asks = |name: &str| {
            watch.recipient.match_indices("changed.").any(|(at, before)| {
                let rest = &watch.recipient[at + before.len()..];
                rest.starts_with(&quote(name)) || rest.split(is_between).next() == Some(name)
            })
        };
        let asked: Vec<String> =
            self.captured.iter().filter(|name| asks(name.as_str())).cloned().collect();
        match asked.is_empty() {
            true => self.recipient_columns(watch),
            false => asked,
        }
    }

    /// The captured columns that the recipient query names: whoever is told may change with them. A word of the query
    /// that is the name of a column counts, whatever it means there; where the whole row is handed on, all do.
    pub fn recipient_columns(&self, watch: &Watch) -> Vec<String> {
        let hands_on = watch.recipient.match_indices("changed").any(|(at, name)| {
            !watch.recipient[at + name.len()..].trim_start().starts_with(['.', '_'])
        });
        let words = words_of([watch.recipient.as_str()]);
        let is_named = |name: &&String| {
            words.contains(name.as_str()) || watch.recipient.contains(&quote(name))
        };
        self.captured.iter().filter(|name| hands_on || is_named(name)).cloned().collect()
    }

    pub fn column_names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The value of a column of a row as it is stored and compared. Of a huge one, the beginning is enough to show and
    /// a digest to compare; a key is whole, because it finds the row.
    pub fn stored(&self, from: &str, name: &str) -> String {
        let value = field(from, name);
        let Some(column) = self.column(name) else { return value };
        let is_listed_key = column.has_structure && self.key.iter().any(|key| key == name);
        if self.bytewise.contains(name) {
            let value = if is_listed_key { format!("{value}::pg_catalog.text") } else { value };
            return format!("rowbell.readable(pg_catalog.to_jsonb({value}))");
        }
        let sort = match ColumnKind::of(&column.base_type) {
            ColumnKind::Padded => return format!("{value}::pg_catalog.text"),
            _ if is_listed_key => return format!("{value}::pg_catalog.text"),
            _ if self.key.iter().any(|key| key == name) => return value,
            ColumnKind::Text if column.may_be_huge() => HugeValue::Text,
            ColumnKind::Json if !self.paths.contains(name) => HugeValue::Json,
            ColumnKind::Other if column.base_type == "bytea" => HugeValue::Bytes,
            _ => return value,
        };
        sort.bounded(&value)
    }

    /// The column that a watched name means: itself, or the JSON column that a path leads into.
    pub fn base_of<'a>(&self, name: &'a str) -> &'a str {
        base_of(name, &self.columns)
    }
}

/// Looks a watch's table up and checks that everything it names is there.
pub async fn describe(
    client: &Client,
    name: &str,
    watch: &Watch,
    template: &TemplateSettings,
) -> Result<WatchedTable, CaptureError> {
    let (oid, table) = find_table(client, name, watch).await?;
    let columns = columns(client, oid).await?;
    let key =
        if watch.key.is_empty() { primary_key(client, oid).await? } else { watch.key.clone() };
    if key.is_empty() {
        return Err(CaptureError::NoKey { watch: name.to_owned(), table });
    }
    let looked_up: Vec<String> = watch.lookup.keys().cloned().collect();
    let currencies = currency_columns(watch);
    let settings = [
        ("key", &key),
        ("columns", &watch.columns),
        ("context", &watch.context),
        ("lookup", &looked_up),
        ("column.….currency", &currencies),
    ];
    for (setting, wanted) in settings {
        for column in wanted {
            if !is_there(column, setting, &columns) {
                return Err(CaptureError::NoColumn {
                    watch: name.to_owned(),
                    setting,
                    hint: did_you_mean(column, columns.iter().map(|c| c.name.as_str())),
                    column: column.clone(),
                    table,
                });
            }
        }
    }
    if let Some(column) = nullable_key(client, oid, &watch.key).await? {
        return Err(CaptureError::NullableKey { watch: name.to_owned(), table, column });
    }
    let captured = captured(watch, template, &key, &columns);
    if let Some((column, expression)) = virtual_column(client, oid, &captured).await? {
        let watch = name.to_owned();
        return Err(CaptureError::Virtual { watch, table, column, expression });
    }
    let Forms { settings, unsettled, bytewise } = forms(client, oid, &captured, &key).await?;
    let paths = watch.columns.iter().filter(|name| base_of(name, &columns) != name.as_str());
    let paths = paths.map(|name| base_of(name, &columns).to_owned()).collect();
    let partitioned_by = partitioned_by(client, oid).await?;
    let mut parts = vec![TablePart { oid, table: table.clone() }];
    parts.extend(heirs(client, oid).await?);
    let watch = name.to_owned();
    Ok(WatchedTable {
        watch,
        table,
        oid,
        key,
        columns,
        captured,
        settings,
        unsettled,
        bytewise,
        paths,
        partitioned_by,
        parts,
    })
}

async fn find_table(
    client: &Client,
    name: &str,
    watch: &Watch,
) -> Result<(u32, String), CaptureError> {
    let query =
        "select c.oid, format('%I.%I', n.nspname, c.relname), c.relkind::text, n.nspname::text
                   from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
                  where c.oid = to_regclass($1)";
    let found = match client.query_opt(query, &[&watch.table]).await {
        Ok(found) => found,
        // A text that is no name at all, such as "a b".
        Err(error) if error.code().is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let Some(row) = found else {
        let hint = nearest_table(client, &watch.table).await?;
        return Err(CaptureError::NoTable {
            watch: name.to_owned(),
            table: watch.table.clone(),
            hint,
        });
    };
    let (kind, schema): (String, String) = (row.get(2), row.get(3));
    let not_a_table = match kind.as_str() {
        _ if schema == "rowbell" => Some("rowbell's own"),
        "r" | "p" => None,
        "v" | "m" => Some("a view"),
        "f" => Some("a foreign table"),
        _ => Some("something else"),
    };
    match not_a_table {
        Some(found) => {
            Err(CaptureError::NotATable { watch: name.to_owned(), table: row.get(1), found })
        }
        None => Ok((row.get(0), row.get(1))),
    }
}

async fn nearest_table(client: &Client, wanted: &str) -> Result<String, tokio_postgres::Error> {
    let query = "select format('%I.%I', n.nspname, c.relname)
                   from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
                  where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema|rowbell)'";
    let rows = client.query(query, &[]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let wanted = if wanted.contains('.') { wanted.to_owned() } else { format!("public.{wanted}") };
    // Names in a schema without USAGE are not found, although the catalog lists them.
    if names.contains(&wanted) {
        return Ok("; it is there, but this user needs USAGE on its schema".to_owned());
    }
    Ok(did_you_mean(&wanted, names.iter().map(String::as_str)))
}

async fn columns(client: &Client, oid: u32) -> Result<Vec<TableColumn>, tokio_postgres::Error> {
    let query = include_str!("../../../sql/queries/capture/table_columns.sql");
    let rows = client.query(query, &[&oid]).await?;
    let column = |r: &Row| TableColumn {
        name: r.get(0),
        type_name: r.get(1),
        base_type: r.get(2),
        is_comparable: r.get(3),
        bare_type: r.get(4),
        has_structure: r.get(5),
    };
    Ok(rows.iter().map(column).collect())
}

/// How sessions write the values of a table's columns.
#[derive(Default)]
struct Forms {
    settings: BTreeSet<String>,
    unsettled: BTreeMap<String, String>,
    bytewise: BTreeSet<String>,
}

/// The settings on which the text of captured values depends, and the columns that may hold bytes that are no text.
async fn forms(
    client: &Client,
    oid: u32,
    captured: &[String],
    key: &[String],
) -> Result<Forms, tokio_postgres::Error> {
    let query = include_str!("../../../sql/queries/capture/table_settings.sql");
    let mut forms = Forms::default();
    for row in client.query(query, &[&oid]).await? {
        let (column, is_of_key): (String, bool) = (row.try_get(0)?, row.try_get(2)?);
        if if is_of_key { key } else { captured }.contains(&column) {
            match row.try_get::<_, Option<String>>(1)? {
                Some(setting) if FORMS.iter().any(|(name, _)| *name == setting) => {
                    forms.settings.insert(setting);
                }
                Some(setting) => drop(forms.unsettled.insert(column, setting)),
                None => drop(forms.bytewise.insert(column)),
            }
        }
    }
    Ok(forms)
}

/// The labels of each column that is an enum.
pub async fn codes(
    client: &Client,
    table: &WatchedTable,
) -> Result<BTreeMap<String, Vec<String>>, tokio_postgres::Error> {
    let query = include_str!("../../../sql/queries/capture/table_codes.sql");
    let rows = client.query(query, &[&table.oid]).await?;
    rows.iter().map(|row| Ok((row.try_get("column_name")?, row.try_get("labels")?))).collect()
}

/// The columns that may be null.
pub async fn nullable(
    client: &Client,
    table: &WatchedTable,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let query = "select a.attname::text
                   from pg_attribute as a join pg_type as t on t.oid = a.atttypid
                  where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
                    and not a.attnotnull and not t.typnotnull";
    client.query(query, &[&table.oid]).await?.iter().map(|row| row.try_get(0)).collect()
}

/// A column of these that may be null.
async fn nullable_key(
    client: &Client,
    oid: u32,
    names: &[String],
) -> Result<Option<String>, tokio_postgres::Error> {
    let query = "select a.attname::text
                   from pg_attribute as a
                   join pg_type as t on t.oid = a.atttypid
                  where a.attrelid = $1 and a.attname::text = any ($2)
                    and not a.attnotnull and not (t.typtype = 'd' and t.typnotnull)
                  order by a.attnum limit 1";
    Ok(client.query_opt(query, &[&oid, &names]).await?.map(|row| row.get(0)))
}

/// A column of these that is not stored, and what it is made of.
async fn virtual_column(
    client: &Client,
    oid: u32,
    names: &[String],
) -> Result<Option<(String, String)>, tokio_postgres::Error> {
    let query = "select a.attname::text, pg_get_expr(d.adbin, d.adrelid)
                   from pg_attribute as a
                   join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
                  where a.attrelid = $1 and a.attname::text = any ($2) and a.attgenerated = 'v'
                  order by a.attnum limit 1";
    let row = client.query_opt(query, &[&oid, &names]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// The columns that decide in which partition of a table, or of its partitions, a row lies.
async fn partitioned_by(client: &Client, oid: u32) -> Result<Vec<String>, tokio_postgres::Error> {
    let query = "select distinct a.attname::text
                   from pg_partition_tree($1::oid) as tree
                   join pg_partitioned_table as p on p.partrelid = tree.relid
                   join pg_attribute as a on a.attrelid = p.partrelid and a.attnum = any (p.partattrs)
                  order by 1";
    Ok(client.query(query, &[&oid]).await?.iter().map(|row| row.get(0)).collect())
}

/// The tables that inherit from a table, at whatever remove. Partitions get the trigger of their table by themselves.
async fn heirs(client: &Client, oid: u32) -> Result<Vec<TablePart>, tokio_postgres::Error> {
    let query = "with recursive heir as (
                     select i.inhrelid as oid from pg_inherits as i where i.inhparent = $1
                     union
                     select i.inhrelid from heir join pg_inherits as i on i.inhparent = heir.oid
                 )
                 select c.oid, format('%I.%I', n.nspname, c.relname)
                   from heir join pg_class as c using (oid) join pg_namespace as n on n.oid = c.relnamespace
                  where c.relkind = 'r' and not c.relispartition
                  order by 2";
    let rows = client.query(query, &[&oid]).await?;
    Ok(rows.iter().map(|row| TablePart { oid: row.get(0), table: row.get(1) }).collect())
}

async fn primary_key(client: &Client, oid: u32) -> Result<Vec<String>, tokio_postgres::Error> {
    let query = "select a.attname::text
                   from pg_index as i
                  cross join lateral unnest(i.indkey) with ordinality as k (attnum, position)
                   join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
                  where i.indrelid = $1 and i.indisprimary and k.position <= i.indnkeyatts
                  order by k.position";
    Ok(client.query(query, &[&oid]).await?.iter().map(|row| row.get(0)).collect())
}

fn captured(
    watch: &Watch,
    template: &TemplateSettings,
    key: &[String],
    columns: &[TableColumn],
) -> Vec<String> {
    let mut texts: Vec<&str> = vec![&watch.recipient];
    let expressions = [&watch.expires_at, &watch.quiet_hours.of, &watch.row_time_zone];
    texts.extend(expressions.into_iter().filter_map(|expression| expression.as_deref()));
    texts.extend(template.body.iter().map(String::as_str));
    for rule in &watch.say {
        texts.extend(rule.text.iter().flat_map(|text| text.each()).map(|(_, text)| text));
    }
    texts.extend(watch.column.values().filter_map(|rules| rules.currency.as_deref()));
    let words = words_of(texts.iter().copied());
    let named = |column: &str| {
        words.contains(column) || texts.iter().any(|t| t.contains(&format!("\"{column}\"")))
    };
    columns
        .iter()
        .map(|column| &column.name)
        .filter(|name| {
            key.contains(name)
                || watch.lookup.contains_key(*name)
                || watch.columns.iter().any(|watched| base_of(watched, columns) == name.as_str())
                || watch.context.contains(name)
                || named(name)
        })
        .cloned()
        .collect()
}

/// Whether a character stands between words.
fn is_between(c: char) -> bool {
    !(c.is_alphanumeric() || c == '_')
}

fn words_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    texts.into_iter().flat_map(|text| text.split(is_between)).collect()
}

/// What is named as currency and is not a code by itself.
fn currency_columns(watch: &Watch) -> Vec<String> {
    let named = watch.column.values().filter_map(|rules| rules.currency.clone());
    named.filter(|name| !column::is_currency_code(name)).collect()
}

/// Whether a setting may name the column; only `columns` may name paths.
fn is_there(name: &str, setting: &str, columns: &[TableColumn]) -> bool {
    let base = if setting == "columns" { base_of(name, columns) } else { name };
    columns.iter().any(|column| {
        column.name == base
            && (base == name || matches!(ColumnKind::of(&column.base_type), ColumnKind::Json))
    })
}

fn base_of<'a>(name: &'a str, columns: &[TableColumn]) -> &'a str {
    match columns.iter().any(|column| column.name == name) {
        true => name,
        false => column::base(name),
    }
}
