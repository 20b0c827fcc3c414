//! The file of `rowbell opt-out import`.

use crate::domain::recipient::phone::Phone;
use crate::domain::recipient::phone_text::BadPhone;
use crate::postgres::operations::opt_outs::OptOutEntry;

/// Reads one phone a line, and after a comma, semicolon or tab perhaps why. Empty lines, lines that
/// begin with `#`, and a first line of headings do not count. All wrong lines are named at once, by
/// number and without what stands in them.
pub fn read_opt_out_requests(
    text: &str,
    region: Option<&str>,
    reason: Option<&str>,
) -> Result<Vec<OptOutEntry>, Vec<String>> {
    let mut requests = Vec::new();
    let mut wrong = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || (index == 0 && is_heading(line)) {
            continue;
        }
        let (phone, why) = match line.split_once([',', ';', '\t']) {
            Some((phone, why)) => (unquoted(phone), Some(unquoted(why)).filter(|w| !w.is_empty())),
            None => (unquoted(line), None),
        };
        match Phone::parse(phone, region) {
            Ok(phone) => requests.push(OptOutEntry {
                phone: phone.as_str().to_owned(),
                reason: why.or(reason).map(str::to_owned),
            }),
            Err(bad) => wrong.push(format!("line {}: {bad}; {}", index + 1, expected(bad))),
        }
    }
    if wrong.is_empty() { Ok(requests) } else { Err(wrong) }
}

/// The first line of a table that somebody exported: no digit in its first field.
fn is_heading(line: &str) -> bool {
    let first = line.split([',', ';', '\t']).next().unwrap_or_default();
    !first.contains(|c: char| c.is_ascii_digit())
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field).trim()
}

fn expected(bad: BadPhone) -> &'static str {
    match bad {
        BadPhone::NoCountryCode => "write it as +1 202 555 0143, or set recipient.region",
        BadPhone::BadRegion => "correct the setting",
        BadPhone::NoPlus | BadPhone::Ambiguous => "write it as +1 202 555 0143",
        BadPhone::Empty | BadPhone::NotOneNumber | BadPhone::Decimal | BadPhone::Invalid => {
            "expected a phone such as +1 202 555 0143"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Vec<String>> {
        let shown = |request: &OptOutEntry| {
            format!("{} {}", request.phone, request.reason.as_deref().unwrap_or(""))
        };
        Ok(read_opt_out_requests(text, None, Some("moved"))?.iter().map(shown).collect())
    }

    #[test]
    fn tables_come_as_people_export_them() {
        let text = "\u{feff}phone;why\r\n\"+1 202-555-0143\";\"said so; twice\"\r\n\r\n# old ones\n+34 612 345 678\n";
        assert_eq!(
            read(text),
            Ok(vec!["12025550143 said so; twice".to_owned(), "34612345678 moved".to_owned()])
        );
    }

    #[test]
    fn wrong_lines_are_named_by_number_and_never_repeated() {
        let wrong = read("+1 202-555-0143\n612345678\n+1 555\n,because\n")
            .err()
            .unwrap_or_default()
            .join("\n");
        insta::assert_snapshot!(wrong, @r#"
        line 2: the phone has no country code, and recipient.region is not set; write it as +1 202 555 0143, or set recipient.region
        line 3: the phone is not a number of its country; expected a phone such as +1 202 555 0143
        line 4: the phone is empty; expected a phone such as +1 202 555 0143
        "#);
    }
}
