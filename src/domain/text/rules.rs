//! Which `say` rules speak of a change.
//!
//! Rules are asked in the order of `order` (lowest first; 0 when nothing is said), and in the order
//! of the file where that is the same. A rule speaks if all of its conditions hold and at least one
//! changed column that it is about was not spoken of before. What no rule covers is told as "Label:
//! old → new". So the first rule that is about a column has the word, and several rules about
//! different columns make one summary.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::domain::text::labels::text_of;
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::text::render_context::RenderContext;
use crate::domain::value::change::Operation;
use crate::domain::value::comparison::plain_number;
use crate::domain::value::diff::FieldChange;

/// One `[[watch.….say]]`: which changes it speaks of, and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SayRule {
    /// Lower is asked first.
    #[serde(default)]
    pub order: i32,
    /// Any of these columns changed.
    #[serde(default)]
    pub when: Vec<String>,
    /// All of these columns changed.
    #[serde(default)]
    pub when_all: Vec<String>,
    /// Only for this operation. A rule that does not name it never speaks of a delete.
    pub operation: Option<Operation>,
    /// These columns changed and now have these values; of a list, one of them.
    #[serde(default)]
    pub becomes: BTreeMap<String, Value>,
    /// These columns changed and had these values before; of a list, one of them.
    #[serde(default)]
    pub was: BTreeMap<String, Value>,
    /// Columns that need no word any more once this rule has spoken, beside those that it names;
    /// `*`: all of them.
    #[serde(default)]
    pub covers: Vec<String>,
    /// Says nothing, and leaves nothing to say about its columns.
    #[serde(default)]
    pub silent: bool,
    /// MiniJinja template.
    pub text: Option<LocalizedText>,
}

impl SayRule {
    /// The columns that the rule names.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let conditions = self.becomes.keys().chain(self.was.keys());
        self.when.iter().chain(&self.when_all).chain(conditions)
    }

    /// Whether the rule is about a change.
    fn is_about(&self, column: &str) -> bool {
        self.names().next().is_none() || self.names().any(|name| name == column)
    }

    fn fires(&self, render_context: &RenderContext<'_>) -> bool {
        let operation = render_context.operation;
        if operation.is_end() {
            return self.operation == Some(operation) && all(&self.was, render_context, |c| &c.old);
        }
        let changed =
            |name: &String| render_context.changes.iter().any(|change| &change.column == name);
        self.operation.is_none_or(|only| only == operation)
            && (self.when.is_empty() || self.when.iter().any(changed))
            && self.when_all.iter().all(changed)
            && all(&self.becomes, render_context, |change| &change.new)
            && all(&self.was, render_context, |change| &change.old)
    }
}

fn all(
    wanted: &BTreeMap<String, Value>,
    render_context: &RenderContext<'_>,
    side: impl Fn(&FieldChange) -> &Value,
) -> bool {
    wanted.iter().all(|(column, wanted)| {
        let mut changes = render_context.changes.iter();
        changes.any(|change| &change.column == column && fits(side(change), wanted))
    })
}

/// `becomes = { status = "3" }` fits the number 3 and the text; zero fits 0.00.
fn fits(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (value, Value::Array(any)) => any.iter().any(|wanted| fits(value, wanted)),
        (Value::Null, wanted) => wanted.is_null(),
        (Value::Number(number), wanted) => {
            let wanted = text_of(wanted).and_then(|text| plain_number(&text));
            wanted.is_some() && plain_number(&number.to_string()) == wanted
        }
        (value, wanted) => value == wanted || text_of(value) == text_of(wanted),
    }
}

/// The places of rules in the order in which they are asked.
pub fn in_order(rules: &[SayRule]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..rules.len()).collect();
    places.sort_by_key(|place| rules[*place].order);
    places
}

/// The rules that speak, in order, and the changes that no rule speaks of. `can_say` tells whether a
/// rule has words for the reader.
pub fn matching_rules<'a>(
    rules: &[SayRule],
    order: &[usize],
    render_context: &RenderContext<'a>,
    can_say: impl Fn(usize) -> bool,
) -> (Vec<usize>, Vec<&'a FieldChange>) {
    let mut matching_rules = Vec::new();
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    let mut is_end_told = false;
    for &place in order {
        let rule = &rules[place];
        let is_new = render_context.changes.iter().any(|change| {
            rule.is_about(&change.column) && !covered.contains(change.column.as_str())
        });
        let is_new = is_new || (render_context.operation.is_end() && !is_end_told);
        if !is_new || !rule.fires(render_context) || !(rule.silent || can_say(place)) {
            continue;
        }
        is_end_told = true;
        matching_rules.push(place);
        let covers_all = rule.covers.iter().any(|column| column == "*");
        let now_covered = render_context.changes.iter().map(|change| change.column.as_str());
        covered.extend(now_covered.filter(|column| {
            covers_all || rule.is_about(column) || rule.covers.iter().any(|c| c == column)
        }));
    }
    let uncovered = render_context.changes.iter().filter(|c| !covered.contains(c.column.as_str()));
    let uncovered =
        if render_context.operation.is_end() { Vec::new() } else { uncovered.collect() };
    (matching_rules, uncovered)
}
