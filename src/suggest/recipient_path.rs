//! The path from a table to the one who is told: over foreign keys to something with a phone.

use std::collections::BTreeMap;

use crate::suggest::survey::{Link, SurveyTable, is_payer, person_rank};

/// How many foreign keys a path may have.
const LONGEST: usize = 3;

/// One join of a path.
#[derive(Clone, Debug)]
pub struct PathStep<'a> {
    pub table: &'a SurveyTable,
    /// Column before and column here.
    pub on: Vec<(String, String)>,
    pub is_declared: bool,
    /// Rows of this table point back to the one before: there may be several, unless it is known that there are not.
    pub points_back: bool,
    pub may_be_many: bool,
}

/// A path to a table with a phone; no step at all where the phone stands in the table itself.
#[derive(Clone, Debug)]
pub struct RecipientPath<'a> {
    pub steps: Vec<PathStep<'a>>,
    pub person: &'a SurveyTable,
}

impl RecipientPath<'_> {
    /// The columns that lead away.
    pub fn first_columns(&self) -> Vec<&str> {
        let first = self.steps.first();
        first
            .map(|step| step.on.iter().map(|(from, _)| from.as_str()).collect())
            .unwrap_or_default()
    }

    /// Lower is better: the customer before the driver, the near before the far.
    fn rank(&self) -> (usize, usize, bool, usize) {
        let names = self.steps.iter().flat_map(|step| {
            step.on.iter().map(|(from, _)| from.as_str()).chain([step.table.name.as_str()])
        });
        let is_payers = names.clone().any(is_payer);
        let ranks: Vec<usize> = names.map(person_rank).collect();
        let is_staff = usize::from(ranks.contains(&100));
        let best = ranks.into_iter().min().unwrap_or(0);
        // A table of contacts belongs to the person before it.
        let is_contact = self.person.phone().is_none() && self.person.contact().is_some();
        let length = self.steps.len() - usize::from(is_contact);
        let many = self.steps.iter().filter(|step| step.may_be_many).count();
        (is_staff, length + many - usize::from(is_contact && many > 0), is_payers, best)
    }
}

/// All paths to a phone, the likeliest first.
pub fn recipient_paths<'a>(
    from: &'a SurveyTable,
    tables: &'a BTreeMap<u32, SurveyTable>,
) -> Vec<RecipientPath<'a>> {
    paths(from, tables, |table| table.phone().is_some() || table.contact().is_some())
}

/// All paths to a mail address.
pub fn mail_paths<'a>(
    from: &'a SurveyTable,
    tables: &'a BTreeMap<u32, SurveyTable>,
) -> Vec<RecipientPath<'a>> {
    paths(from, tables, |table| table.email().is_some())
}

fn paths<'a>(
    from: &'a SurveyTable,
    tables: &'a BTreeMap<u32, SurveyTable>,
    is_end: impl Fn(&SurveyTable) -> bool,
) -> Vec<RecipientPath<'a>> {
    let mut found = Vec::new();
    let mut open = vec![RecipientPath { steps: Vec::new(), person: from }];
    while let Some(path) = open.pop() {
        if is_end(path.person) {
            found.push(path);
            continue;
        }
        if path.steps.len() == LONGEST {
            continue;
        }
        for step in steps_from(path.person, tables) {
            let is_back = step.table.oid == from.oid
                || path.steps.iter().any(|before| before.table.oid == step.table.oid);
            if !is_back {
                let mut steps = path.steps.clone();
                let person = step.table;
                steps.push(step);
                open.push(RecipientPath { steps, person });
            }
        }
    }
    found.sort_by_key(RecipientPath::rank);
    found
}

/// Where the foreign keys of a table lead, and tables that have one row for each of its rows.
fn steps_from<'a>(
    table: &'a SurveyTable,
    tables: &'a BTreeMap<u32, SurveyTable>,
) -> Vec<PathStep<'a>> {
    let forward = table.links.iter().filter_map(|link| {
        let on = link.columns.iter().cloned().zip(link.to_columns.iter().cloned()).collect();
        let table = tables.get(&link.to)?;
        let is_declared = link.is_declared;
        Some(PathStep { table, on, is_declared, points_back: false, may_be_many: false })
    });
    let profile = |other: &'a SurveyTable| {
        let mut links = other.links.iter().filter(|link| link.to == table.oid);
        let unique = links.clone().find(|link| is_unique(other, link));
        // Of many rows that point here, those are of use that say themselves how somebody is reached.
        let reaches = other.phone().is_some() || other.contact().is_some();
        let link = unique.or_else(|| links.find(|_| reaches))?;
        let on = link.to_columns.iter().cloned().zip(link.columns.iter().cloned()).collect();
        let (is_declared, may_be_many) = (link.is_declared, unique.is_none());
        Some(PathStep { table: other, on, is_declared, points_back: true, may_be_many })
    };
    let back = tables.values().filter(|other| other.oid != table.oid).filter_map(profile);
    forward.chain(back).collect()
}

fn is_unique(table: &SurveyTable, link: &Link) -> bool {
    let fits = |columns: &Vec<String>| {
        columns.len() == link.columns.len() && columns.iter().all(|c| link.columns.contains(c))
    };
    fits(&table.key) || table.uniques.iter().any(fits)
}
