//! Small texts that several commands write.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::{SignedDuration, Timestamp};

/// Work that waits longer than this needs a look.
pub const LATE: SignedDuration = SignedDuration::from_mins(2);

/// Length of a time in its two largest units: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
pub fn length(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    let two = |big: i64, unit: &str, small: i64, rest: &str| match small {
        0 => format!("{big} {unit}"),
        small => format!("{big} {unit} {small} {rest}"),
    };
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=86_399 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long ago a moment was.
pub fn age(of: Timestamp, now: Timestamp) -> String {
    length(now.duration_since(of))
}

/// A moment as logs write it: UTC, to the second.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The last four digits of a phone, which are enough to recognise it by.
pub fn masked(phone: &str) -> String {
    let digits = phone.chars().count();
    let shown: String = phone.chars().skip(digits.saturating_sub(4)).collect();
    format!("…{}", if digits > 6 { shown.as_str() } else { "" })
}

/// The key of a recipient; one that is a phone or a mail address is masked.
pub fn masked_key(key: &str) -> String {
    let is_address = key.contains('@') || !key.contains(char::is_alphabetic) && key.len() > 6;
    if is_address { masked(key) } else { key.to_owned() }
}

/// `1 change`, `2 changes`.
pub fn count(number: i64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `1 message is`, `2 messages are`.
pub fn are(messages: i64) -> String {
    format!("{} {}", count(messages, "message"), if messages == 1 { "is" } else { "are" })
}

/// A text whose lines have at most so many characters where words allow it; further lines are indented.
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let lead = text.len() - text.trim_start().len();
    let mut lines = vec![text[..lead].to_owned()];
    let mut is_first = true;
    for word in text[lead..].split(' ') {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        let is_begun = !is_first && lines.last().is_some_and(|line| !line.trim().is_empty());
        if is_begun && line + 1 + word.chars().count() > width {
            lines.push(format!("{}{word}", " ".repeat(indent)));
        } else if let Some(line) = lines.last_mut() {
            line.push_str(if is_first { "" } else { " " });
            line.push_str(word);
        }
        is_first = false;
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

/// A table; where it is wider than the terminal, each row as a block with a line for each column.
pub fn fitted(table: &Table, width: Option<usize>) -> String {
    let text = table.trim_fmt();
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let (Some(header), true) = (table.header(), width.is_some_and(|width| widest > width)) else {
        return text;
    };
    let titles: Vec<String> = header.cell_iter().map(comfy_table::Cell::content).collect();
    let longest = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0);
    let rows = table.row_iter().map(|row| {
        let cells = titles.iter().zip(row.cell_iter());
        let lines = cells.filter(|(_, cell)| !matches!(cell.content().as_str(), "" | "–"));
        lines
            .map(|(title, cell)| format!("{title:<longest$}  {}", cell.content()))
            .collect::<Vec<_>>()
            .join("\n")
    });
    rows.collect::<Vec<_>>().join("\n\n")
}

/// Columns of the terminal; None: the output goes elsewhere.
pub fn terminal_width() -> Option<usize> {
    Table::new().width().map(usize::from)
}

/// A table without lines.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    // Flush with the margin.
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_at_most_two_units() {
        let text = |seconds| length(SignedDuration::from_secs(seconds));
        assert_eq!(text(-3), "0 s");
        assert_eq!(text(59), "59 s");
        assert_eq!(text(119), "1 min");
        assert_eq!(text(3_600), "1 h");
        assert_eq!(text(11_100), "3 h 5 min");
        assert_eq!(text(86_400 * 2 + 3_600 * 4 + 59), "2 d 4 h");
    }

    #[test]
    fn what_is_too_wide_is_wrapped_or_stands_in_blocks() {
        assert_eq!(wrapped("- one two three", 9, 2), "- one two\n  three");
        assert_eq!(wrapped("    name  a long about", 16, 6), "    name  a long\n      about");
        assert_eq!(wrapped("averylongword", 5, 2), "averylongword");
        let mut table = table(&["CHANNEL", "OPEN", "RATE"]);
        table.add_row(["main", "12", "80/s"]).add_row(["sms", "0", "–"]);
        assert_eq!(fitted(&table, Some(60)), table.trim_fmt());
        let blocks = "CHANNEL  main\nOPEN     12\nRATE     80/s\n\nCHANNEL  sms\nOPEN     0";
        assert_eq!(fitted(&table, Some(16)), blocks);
    }

    #[test]
    fn keys_that_are_addresses_cannot_be_read_back() {
        assert_eq!(masked_key("12025550143"), "…0143");
        assert_eq!(masked_key("maria@example.org"), "….org");
        assert_eq!(masked_key("c1"), "c1");
        assert_eq!(masked_key("4711"), "4711");
    }

    #[test]
    fn a_phone_cannot_be_read_back() {
        assert_eq!(masked("12025550143"), "…0143");
        assert_eq!(masked("112"), "…");
        assert_eq!(masked(""), "…");
    }
}
