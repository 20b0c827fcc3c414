//! Outcomes that an application may want to be told, and the SQL with which it is told.

use serde::Deserialize;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Where a message may have come to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum OutcomeState {
    Sent,
    Delivered,
    Read,
    Failed,
    Skipped,
    /// A customer answered it.
    Replied,
}

/// What of a person an endpoint may be told besides. WhatsApp's ids of messages hold the phone in another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum PersonalField {
    RecipientKey,
    RecipientName,
    RecipientPhone,
    ProviderMessageId,
    Summary,
    ReplyText,
}

/// What a hook may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum OutcomeParameter {
    Key,
    Message,
    Watch,
    State,
    Reason,
    Operation,
    Channel,
    RecipientKey,
    ProviderMessageId,
    SentAt,
    DeliveredAt,
    ReadAt,
    FinishedAt,
    Reply,
    ReplyKind,
    ReplyPayload,
    RepliedAt,
}

/// A statement whose parameters have numbers, and what each of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedSql {
    pub sql: String,
    pub parameters: Vec<OutcomeParameter>,
}

/// Puts numbers for the names of parameters: `$key` becomes `$1`. What stands in quotes or in a comment stays; the error
/// is the name that no parameter has.
pub fn numbered(sql: &str) -> Result<NumberedSql, String> {
    let mut found = NumberedSql { sql: String::with_capacity(sql.len()), parameters: Vec::new() };
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let whole = match first {
            '\'' | '"' => quoted(rest, first),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '$' => match name(&rest[1..]) {
                // A number, or the quote of a text between dollars.
                "" => 1,
                name if rest[1 + name.len()..].starts_with('$') => 1 + name.len() + 1,
                name => {
                    let parameter = name.parse().map_err(|_| name.to_owned())?;
                    let place = found.place(parameter);
                    found.sql += &format!("${place}");
                    rest = &rest[1 + name.len()..];
                    continue;
                }
            },
            other => other.len_utf8(),
        };
        found.sql += &rest[..whole];
        rest = &rest[whole..];
    }
    Ok(found)
}

impl NumberedSql {
    fn place(&mut self, parameter: OutcomeParameter) -> usize {
        let known = self.parameters.iter().position(|known| *known == parameter);
        known.map_or_else(
            || {
                self.parameters.push(parameter);
                self.parameters.len()
            },
            |place| place + 1,
        )
    }
}

/// Up to the end of a text or name in quotes; a doubled quote begins the next one.
fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

fn name(text: &str) -> &str {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !text.starts_with(is_first) {
        return "";
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers_but_not_in_quotes_and_comments() {
        let numbered = |sql| numbered(sql).map(|found| found.sql);
        let told =
            "update delivery set told_at = $sent_at, by = $channel where id = $key and $key <> ''";
        assert_eq!(
            numbered(told).unwrap(),
            "update delivery set told_at = $1, by = $2 where id = $3 and $3 <> ''"
        );
        let kept = "select '$key', 'it''s $key', \"$key\", $$x$$ -- $key\n/* $key */ + 1";
        assert_eq!(numbered(kept).unwrap(), kept);
        assert_eq!(numbered("select $key::text || 'ü'").unwrap(), "select $1::text || 'ü'");
        assert_eq!(numbered("select $phone").unwrap_err(), "phone");
    }
}
