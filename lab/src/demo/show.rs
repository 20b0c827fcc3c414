//! What a person sees of the demo: each message as the customer reads it, and its way.

use std::collections::HashMap;
use std::fmt::Display;

use rowbell::cli::text::terminal_width;
use tokio_postgres::Client;

use crate::sandbox::Sandbox;

/// Columns of a message where the terminal does not say how many it has, and at most.
const WIDTH: usize = 64;

/// Columns that stand beside the words of a message.
const FRAME: usize = 10;

/// Where a person reads what goes on: beside what a program reads.
#[derive(Clone, Copy, Debug)]
pub enum Voice {
    Output,
    Error,
}

impl Voice {
    pub fn say(self, line: impl Display) {
        match self {
            Voice::Output => println!("{line}"),
            Voice::Error => eprintln!("{line}"),
        }
    }
}

/// Shows what has changed since it last looked.
pub struct Show {
    voice: Voice,
    width: usize,
    states: HashMap<i64, String>,
}

impl Show {
    pub fn new(voice: Voice) -> Show {
        let width =
            terminal_width().map_or(WIDTH, |all| all.saturating_sub(FRAME).clamp(20, WIDTH));
        Show { voice, width, states: HashMap::new() }
    }

    /// Looks at all messages, and prints those that are somewhere else now.
    pub async fn look(&mut self, client: &Client, sandbox: &Sandbox) -> anyhow::Result<()> {
        let rows = client
            .query(
                "select message_id, state::text, coalesce(reason_text, reason::text, ''), watch, entity_key,
                        coalesce(recipient_name, ''), coalesce(provider_message_id, ''), change_count,
                        to_char(coalesce(read_at, delivered_at, finished_at, sent_at) - last_changed_at, 'FMSS.MS')
                   from rowbell.message order by message_id",
                &[],
            )
            .await?;
        for row in rows {
            let (id, state): (i64, String) = (row.get(0), row.get(1));
            if self.states.get(&id) == Some(&state) {
                continue;
            }
            let entity = format!("{} {}", row.get::<_, String>(3), row.get::<_, String>(4));
            let name: String = row.get(5);
            let after =
                row.get::<_, Option<String>>(8).map_or(String::new(), |s| format!(" after {s} s"));
            match state.as_str() {
                "sent" => {
                    let provider_id: String = row.get(6);
                    let seen = sandbox.all_seen();
                    let text =
                        seen.iter().rev().find(|m| m.id == provider_id).map(|m| m.text.clone());
                    let changes: i32 = row.get(7);
                    self.voice.say(format_args!(
                        "  message {id:<4} {entity}: sent{after}, {changes} change(s)"
                    ));
                    let text = text.unwrap_or_default();
                    self.voice.say(rendered_text(&name, &text, self.width));
                }
                "delivered" | "read" => {
                    self.voice.say(format_args!("  message {id:<4} {entity}: {state}{after}"));
                }
                "failed" | "skipped" => {
                    let why: String = row.get(2);
                    self.voice.say(format_args!("  message {id:<4} {entity}: {state}, {why}"));
                }
                _ => {}
            }
            self.states.insert(id, state);
        }
        Ok(())
    }
}

/// A message as a phone would show it, so many columns wide at most.
pub fn rendered_text(name: &str, text: &str, width: usize) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = lines
            .last_mut()
            .filter(|l| l.is_empty() || l.chars().count() + word.chars().count() < width);
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut out = format!(
        "      ╭─ {name} {}╮\n",
        "─".repeat((width + 1).saturating_sub(name.chars().count() + 2))
    );
    for line in lines {
        out += &format!("      │ {line}{} │\n", " ".repeat(width - line.chars().count()));
    }
    out + &format!("      ╰{}╯", "─".repeat(width + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a terminal of 60 columns the frames were torn.
    #[test]
    fn a_message_is_no_wider_than_the_terminal() {
        let text = "Hello, María! The status of your home delivery has been updated. New window: \
                    Monday, 29 June from 09:30 to 11:30. If you need help — we are here.";
        for columns in [30, 60, 74] {
            let shown = rendered_text("María", text, columns - FRAME);
            let widest = shown.lines().map(|line| line.chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= columns), "{columns}:\n{shown}");
        }
    }
}
