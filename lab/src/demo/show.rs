//! What a person sees of the demo: each message as the customer reads it, and its way.

use std::collections::HashMap;

use tokio_postgres::Client;

use crate::sandbox::Sandbox;

/// Shows what has changed since it last looked.
#[derive(Default)]
pub struct Show {
    states: HashMap<i64, String>,
}

impl Show {
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
                    println!(
                        "  message {id:<4} {entity}: sent{after}, {} change(s)",
                        row.get::<_, i32>(7)
                    );
                    println!("{}", rendered_text(&name, text.as_deref().unwrap_or_default()));
                }
                "delivered" | "read" => println!("  message {id:<4} {entity}: {state}{after}"),
                "failed" | "skipped" => {
                    println!("  message {id:<4} {entity}: {state}, {}", row.get::<_, String>(2));
                }
                _ => {}
            }
            self.states.insert(id, state);
        }
        Ok(())
    }
}

/// A message as a phone would show it.
pub fn rendered_text(name: &str, text: &str) -> String {
    const WIDTH: usize = 64;
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = lines
            .last_mut()
            .filter(|l| l.is_empty() || l.chars().count() + word.chars().count() < WIDTH);
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
