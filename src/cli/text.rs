//! Small texts that several commands write.

use comfy_table::{ContentArrangement, Table, presets};

pub use crate::domain::text::short_text::{
    LATE, age, are, count, length, masked, masked_key, moment,
};

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
}
