//! `rowbell preview <watch> <key> [--set column=value …]`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::cli::inspect::explain;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::message::message::MessageWords;
use crate::domain::message::state::State;
use crate::domain::value::row::Row;
use crate::operations::preview::{Preview, preview};

#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// The watch.
    watch: String,
    /// Primary key of the row; parts of a composite key with commas between them.
    key: String,
    /// As if the column had this value; `null` is null.
    #[arg(long = "set", value_name = "COLUMN=VALUE", value_parser = column_value)]
    set: Vec<(String, String)>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub fn column_value(text: &str) -> Result<(String, String), String> {
    let (column, value) =
        text.split_once('=').ok_or("expected COLUMN=VALUE, such as status=shipped")?;
    Ok((column.trim().to_owned(), value.to_owned()))
}

pub async fn run(args: &PreviewArgs, config: &Config) -> Result<(), CliError> {
    let watch = explain::find(config, &args.watch)?;
    let mut client = connect(config).await?;
    let invented = invented(&args.set);
    let shown = preview(&mut client, config, &Clock::system(), watch, &args.key, &invented)
        .await
        .map_err(anyhow::Error::from)?;
    if args.json {
        println!("{}", all_as_json(&shown));
    } else {
        print!("{}", as_text(&shown));
    }
    Ok(())
}

/// The columns of `--set` with their values.
pub fn invented(set: &[(String, String)]) -> Row {
    let value = |value: &String| match value.as_str() {
        "null" => Value::Null,
        other => Value::String(other.to_owned()),
    };
    set.iter().map(|(column, text)| (column.into(), value(text))).collect()
}

/// The first recipient, and the others in a list of their own.
fn all_as_json(previews: &[Preview]) -> Value {
    let mut all = previews.iter().map(as_json);
    let mut first = all.next().unwrap_or_default();
    let others: Vec<Value> = all.collect();
    if let Some(first) = first.as_object_mut() {
        first.insert("other_recipients".to_owned(), Value::Array(others));
    }
    first
}

/// One recipient after the other.
pub fn as_text(previews: &[Preview]) -> String {
    let texts: Vec<String> = previews.iter().map(one_as_text).collect();
    match texts.len() {
        1 => texts.concat(),
        count => {
            let each = texts.iter().enumerate();
            let each = each.map(|(at, text)| format!("recipient {} of {count}\n\n{text}", at + 1));
            each.collect::<Vec<_>>().join("\n")
        }
    }
}

fn as_json(preview: &Preview) -> Value {
    let changes: Vec<Value> = preview
        .changes
        .iter()
        .map(|change| json!({"column": change.column, "old": change.old, "new": change.new}))
        .collect();
    let wording = preview.words.as_ref().map(|words| &words.wording);
    let recipient = preview.words.as_ref().map(|words| &words.recipient);
    json!({
        "old": preview.old, "new": preview.new, "changes": changes,
        "state": preview.state.into_str(), "reason": preview.state.reason(),
        "reason_text": preview.reason_text,
        "language": wording.map(|w| &w.language), "parameters": wording.map(|w| &w.parameters),
        "summary": wording.map(|w| &w.summary), "message": wording.and_then(|w| w.rendered_text.as_ref().filter(|_| w.is_text_known)),
        "was_cut": wording.map(|w| w.was_cut),
        "time_zone": recipient.map(|r| &r.time_zone),
        "time_zone_source": recipient.map(|r| r.time_zone_source.as_ref()),
        "leaves_at": preview.waits.as_ref().map(|(at, _)| at.to_string()),
        "problems": preview.nameless,
        "waits_for": preview.waits.as_ref().map(|(_, why)| why),
    })
}

/// What changed, then the message on a line of its own.
fn one_as_text(preview: &Preview) -> String {
    let mut text = String::new();
    let width =
        preview.changes.iter().map(|change| change.column.chars().count()).max().unwrap_or(0);
    for change in &preview.changes {
        text +=
            &format!("{:width$}  {} → {}\n", change.column, plain(&change.old), plain(&change.new));
    }
    if let Some(words) = &preview.words {
        text += &format!("\n{}", words_as_text(words));
        for problem in &preview.nameless {
            text += &format!("\n{problem}\n");
        }
        if let Some((_, why)) = &preview.waits {
            text += &format!("\nwould wait: {why}\n");
        }
        return text;
    }
    let waits = matches!(preview.state, State::Scheduled);
    let verb = if waits { "would wait" } else { "would not be sent" };
    text + &format!("\n{verb}: {}\n", preview.why())
}

/// To whom, and the message on lines of its own.
pub fn words_as_text(words: &MessageWords) -> String {
    let (recipient, wording) = (&words.recipient, &words.wording);
    let mut text = format!(
        "to {} ({}, {} by {}), template {} in {}:\n\n",
        recipient.name,
        recipient.locale,
        recipient.time_zone,
        recipient.time_zone_source,
        words.template,
        wording.language
    );
    match &wording.rendered_text {
        Some(rendered_text) if wording.is_text_known => text += &format!("{rendered_text}\n"),
        other_language => {
            if other_language.is_some() {
                text += "The configuration has no text of the template in this language. Its variables:\n";
            }
            for (i, parameter) in wording.parameters.iter().enumerate() {
                text += &format!("{{{{{}}}}} {parameter}\n", i + 1);
            }
        }
    }
    if wording.was_cut {
        text += "\nThe summary was cut: the body of a message may have 1024 characters.\n";
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "—".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
