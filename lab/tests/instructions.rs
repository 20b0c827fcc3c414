//! What the daemon's own work for one message costs, without a clock.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

/// How many times the reading of one row from JSON each part may cost. The figures of this build, and a tenth more; who makes
/// a part cheaper writes the lower figure here.
const MOST: [(&str, f64); 4] = [
    ("fold_by_read", 2.65),
    ("compare_by_read", 1.44),
    ("word_by_read", 18.6),
    ("settle_by_read", 0.193),
];

#[test]
fn nothing_on_the_way_of_a_message_has_become_dearer() {
    let lab = env!("CARGO_BIN_EXE_rowbell-lab");
    let counted =
        Command::new(lab).args(["--exe", lab, "bench", "instructions", "--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&counted.stdout).into_owned();
    assert!(counted.status.success(), "{said}{}", String::from_utf8_lossy(&counted.stderr));
    let figures: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let dearer: Vec<String> = MOST
        .iter()
        .filter_map(|(name, most)| {
            let figure = figures[name].as_f64().unwrap();
            (figure > most * 1.1).then(|| format!("{name} is {figure}, and was {most}"))
        })
        .collect();
    assert!(dearer.is_empty(), "{dearer:?} of {figures}");
}
