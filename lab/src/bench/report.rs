//! What a benchmark says: a table for people, or one line of JSON.

use std::fs;

use serde_json::{Map, Value, json};

/// The result of one benchmark, with the machine it ran on.
pub struct Report {
    title: &'static str,
    machine: String,
    rows: Map<String, Value>,
    notes: Vec<String>,
}

impl Report {
    pub fn new(title: &'static str, machine: String) -> Report {
        Report { title, machine, rows: Map::new(), notes: Vec::new() }
    }

    /// One figure; the name carries its unit.
    pub fn row(&mut self, name: &str, value: impl Into<Value>) {
        self.rows.insert(name.to_owned(), value.into());
    }

    /// A sentence below the table.
    pub fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    /// The figure of a row, 0 when there is none.
    pub fn figure(&self, name: &str) -> f64 {
        self.rows.get(name).and_then(Value::as_f64).unwrap_or(0.0)
    }

    /// Prints it. With `json`, the last line is one object.
    pub fn print(&self, json: bool) {
        if json {
            println!("{}", Value::Object(self.rows.clone()));
            return;
        }
        println!("{}\n{}\n", self.title, self.machine);
        let width = self.rows.keys().map(String::len).max().unwrap_or(0);
        for (name, value) in &self.rows {
            match value.as_array() {
                Some(lines) => print_lines(name, lines),
                None => println!("  {name:width$}  {}", grouped(value)),
            }
        }
        if !self.notes.is_empty() {
            println!();
        }
        for note in &self.notes {
            println!("  {note}");
        }
    }
}

/// A number with so many decimals, for people and for JSON alike.
pub fn round(value: f64, decimals: i32) -> Value {
    let factor = 10_f64.powi(decimals);
    json!((value * factor).round() / factor)
}

/// A table within the report: a line for each object, its keys above.
fn print_lines(name: &str, lines: &[Value]) {
    println!("\n  {name}");
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    for (at, line) in lines.iter().filter_map(Value::as_object).enumerate() {
        if at == 0 {
            table.set_header(line.keys().map(|key| key.replace('_', " ")));
        }
        table.add_row(line.values().map(|value| match value {
            Value::String(text) => text.clone(),
            number => grouped(number),
        }));
    }
    println!("{table}");
}

/// Thousands are set apart by commas.
fn grouped(value: &Value) -> String {
    let text = match value.as_f64() {
        Some(number) if number.fract() == 0.0 => format!("{number:.0}"),
        _ => return value.to_string(),
    };
    let mut out = String::new();
    for (i, digit) in text.chars().enumerate() {
        if i > 0 && (text.len() - i) % 3 == 0 && digit.is_ascii_digit() {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Cores, processor, memory, kernel and server, in one line.
pub async fn machine(client: &tokio_postgres::Client) -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let line_of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let server = client
        .query_one(
            "select current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')",
            &[],
        )
        .await?;
    Ok(format!(
        "{cores} cores of {}, {} memory, Linux {}, PostgreSQL {} (fsync {}, synchronous_commit {}){}",
        line_of("/proc/cpuinfo", "model name"),
        line_of("/proc/meminfo", "MemTotal"),
        kernel.trim(),
        server.get::<_, String>(0),
        server.get::<_, String>(1),
        server.get::<_, String>(2),
        if cfg!(debug_assertions) { "; DEBUG BUILD: figures mean nothing" } else { "" },
    ))
}
