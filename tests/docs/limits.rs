//! What rowbell cannot do is said: each line that docs/LIMITS.md quotes stands in the source, word for word.

use std::fs;
use std::path::Path;

/// The text of all files below a folder; lines that are continued are one.
fn source(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs" || end == "sql") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

fn continued(text: &str) -> String {
    let mut pieces = text.split("\\\n");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |all, piece| all + piece.trim_start())
}

#[test]
fn each_line_that_says_a_limit_is_one_that_rowbell_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    for folder in ["src", "sql"] {
        source(&root.join(folder), &mut all);
    }
    let all = continued(&all);
    let limits = fs::read_to_string(root.join("docs/LIMITS.md")).unwrap();
    let table = limits.split("## Where it says so").nth(1).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what"));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [what, who, line] = cells.as_slice() else { panic!("{row}") };
        assert!(!what.is_empty() && !who.is_empty(), "{row}");
        let line = line.trim_matches('“').trim_matches('”');
        assert!(all.contains(line), "nothing in the source says: {line}");
        count += 1;
    }
    assert!(count >= 25, "{count} lines");
}
