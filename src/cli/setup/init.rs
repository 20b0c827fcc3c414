//! `rowbell init`: writes a first configuration.

use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::Path;

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::setup::suggest::{connect, database, watch_for};
use crate::config::load::{self, LoadError};
use crate::domain::value::moment;
use crate::suggest::suggestion::quoted;

#[derive(Debug, Args)]
pub struct InitArgs {
    /// URL of the business's database.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Id of the channel at 1MSG.
    #[arg(long, value_name = "ID")]
    channel_id: Option<String>,
    /// File that holds the token of the channel.
    #[arg(long, value_name = "FILE", default_value = "1msg.token")]
    token_file: String,
    /// Name of the template that WhatsApp approved.
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Namespace of the template; 1MSG shows it with the template.
    #[arg(long, value_name = "TEXT")]
    namespace: Option<String>,
    /// Region of phones without a country code, such as US.
    #[arg(long, value_name = "CODE")]
    region: Option<String>,
    /// Time zone of customers whose row names none, such as America/New_York.
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    time_zone: Option<String>,
    /// Table to suggest a watch for; may be given several times.
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Replace a configuration that is there.
    #[arg(long)]
    force: bool,
}

/// What the configuration is made of.
struct Answers {
    database: String,
    channel_id: String,
    template: String,
    namespace: String,
    region: String,
    time_zone: String,
    tables: Vec<String>,
}

fn time_zone(zone: &str) -> Result<String, String> {
    match moment::zone(zone) {
        Ok(_) => Ok(zone.to_owned()),
        Err(_) => Err(format!("\"{zone}\" is no time zone; expected one such as Europe/Berlin")),
    }
}

pub async fn run(args: &InitArgs, path: &Path) -> Result<(), CliError> {
    let shown = path.display();
    if path.exists() && !args.force {
        return Err(anyhow::anyhow!(
            "{shown} is there already, and nothing was written; --force replaces it, --config names another"
        )
        .into());
    }
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let answers = if is_terminal {
        ask_all(args, &mut io::stdin().lock(), &mut io::stderr()).map_err(anyhow::Error::from)?
    } else {
        given(args)?
    };
    let mut text = text(&answers, &args.token_file);
    if !answers.tables.is_empty() {
        let client = connect(&database(&answers.database)?).await?;
        for table in &answers.tables {
            text += "\n";
            text += &watch_for(&client, table, "main", "service_change").await?;
        }
    }
    // What was written must be readable, whatever was answered.
    readable(&text)?;
    write(path, &text).map_err(|error| anyhow::anyhow!("could not write {shown}: {error}"))?;
    println!("{shown} is written; read it, and decide where it says so. Then:");
    println!("  put the token of the channel into {}", args.token_file);
    println!("  rowbell --config {shown} migrate");
    println!("  rowbell --config {shown} watch");
    println!("  rowbell --config {shown} check");
    Ok(())
}

/// What the flags say; what is missing is named all at once.
fn given(args: &InitArgs) -> Result<Answers, CliError> {
    let needed = [
        ("--database", &args.database),
        ("--channel-id", &args.channel_id),
        ("--namespace", &args.namespace),
    ];
    let missing: Vec<&str> =
        needed.iter().filter(|(_, value)| value.is_none()).map(|(flag, _)| *flag).collect();
    if !missing.is_empty() {
        return Err(anyhow::anyhow!(
            "{} missing; without a terminal to ask on, give {}",
            if missing.len() == 1 { "a flag is" } else { "flags are" },
            missing.join(" and ")
        )
        .into());
    }
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(Answers {
        database: value(&args.database),
        channel_id: value(&args.channel_id),
        template: args.template.clone().unwrap_or_else(|| "service_change".to_owned()),
        namespace: value(&args.namespace),
        region: value(&args.region),
        time_zone: value(&args.time_zone),
        tables: args.tables.clone(),
    })
}

/// Asks for what no flag says. An empty answer takes what stands in brackets.
fn ask_all(
    args: &InitArgs,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<Answers> {
    let mut ask = |given: &Option<String>, question: &str, default: &str| {
        let Some(given) = given else {
            return ask(input, output, question, default);
        };
        Ok(given.clone())
    };
    let database = ask(
        &args.database,
        "URL of the database",
        "postgresql://rowbell@/crm?host=/run/postgresql",
    )?;
    let channel_id = ask(&args.channel_id, "Id of the channel at 1MSG, such as ODI371267300", "")?;
    let template = ask(&args.template, "Name of the approved template", "service_change")?;
    let namespace = ask(&args.namespace, "Namespace of the template", "")?;
    let region = ask(
        &args.region,
        "Region of phones without country code, such as US; empty: refuse them",
        "",
    )?;
    let question = "Time zone of customers whose row names none, such as America/New_York; empty: hours are told in UTC, \
                    with its name";
    let mut zone = ask(&args.time_zone, question, "")?;
    // A wrong answer is asked for again; at the end of the input there is none, which is no zone.
    while let Some(wrong) =
        Some(&zone).filter(|zone| !zone.is_empty()).and_then(|zone| time_zone(zone).err())
    {
        zone = ask(&None, &wrong, "")?;
    }
    let mut tables = args.tables.clone();
    if tables.is_empty() {
        let table = ask(&None, "Table to watch, such as public.delivery; empty: none yet", "")?;
        tables.extend((!table.is_empty()).then_some(table));
    }
    Ok(Answers { database, channel_id, template, namespace, region, time_zone: zone, tables })
}

fn ask(
    input: &mut impl BufRead,
    output: &mut impl Write,
    question: &str,
    default: &str,
) -> io::Result<String> {
    match default {
        "" => write!(output, "{question}: ")?,
        default => write!(output, "{question} [{default}]: ")?,
    }
    output.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(match answer.trim() {
        "" => default.to_owned(),
        answer => answer.to_owned(),
    })
}

fn text(answers: &Answers, token_file: &str) -> String {
    let Answers { database, channel_id, template, namespace, region, time_zone, .. } = answers;
    let region = match region.as_str() {
        "" => "# Region of phones without a country code; without it they are refused.\n# region = \"US\"".to_owned(),
        region => format!("region = {}", quoted(region)),
    };
    let time_zone = match time_zone.as_str() {
        "" => "# Decide: the time zone of customers whose row names none; without it hours are told in UTC, with its name.\n\
               # time_zone = \"America/New_York\""
            .to_owned(),
        zone => format!("time_zone = {}", quoted(zone)),
    };
    format!(
        "# The configuration of rowbell. `rowbell config default` explains every setting.\n\n\
         [database]\nurl = {}\n\n[recipient]\n{region}\n{time_zone}\n\n\
         [channel.main]\nprovider   = \"1msg\"\nchannel_id = {}\n\
         # Holds the token of the channel; relative: a systemd credential of that name, if there is one.\n\
         token_file = {}\n\n\
         # The template as WhatsApp approved it; `rowbell check` compares it with what 1MSG lists.\n\
         [template.service_change]\nname      = {}\nnamespace = {}\n\
         # Decide: the code of each language in which it was approved, such as es = \"es\".\n\
         language  = {{ default = \"en\" }}\n\
         # Decide: what stands in its variables, in order.\n\
         body      = [\"{{{{ recipient.name }}}}\", \"{{{{ service }}}}\", \"{{{{ summary }}}}\"]\n\
         # Decide: its text as it was approved, for previews and for the room that it leaves.\n\
         text.en   = \"Hello, {{{{1}}}}! The status of your {{{{2}}}} has been updated. {{{{3}}}} If you need help — we are here.\"\n",
        quoted(database),
        quoted(channel_id),
        quoted(token_file),
        quoted(template),
        quoted(namespace),
    )
}

/// Nothing is wrong but that the token is not there yet.
fn readable(text: &str) -> Result<(), LoadError> {
    match load::from_text(text) {
        Err(LoadError::Mistakes(mut mistakes)) => {
            mistakes.retain(|mistake| mistake.key != "channel.main.token_file");
            if mistakes.is_empty() { Ok(()) } else { Err(LoadError::Mistakes(mistakes)) }
        }
        other => other.map(|_| ()),
    }
}

/// The file may hold a password: not for everybody to read.
fn write(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o640).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: InitArgs,
    }

    #[test]
    fn what_no_flag_says_is_asked() -> io::Result<()> {
        let line = Line::parse_from(["init", "--channel-id", "ODI1"]);
        let mut said = Vec::new();
        let typed = "\n\n3f1c\nUS\nNew York\nAmerica/New_York\npublic.delivery\n";
        let answers = ask_all(&line.args, &mut typed.as_bytes(), &mut said)?;
        insta::assert_snapshot!(String::from_utf8_lossy(&said).replace(": ", ":\n"));
        assert_eq!(
            (answers.channel_id.as_str(), answers.template.as_str()),
            ("ODI1", "service_change")
        );
        assert_eq!((answers.region.as_str(), answers.tables.len()), ("US", 1));
        assert_eq!(answers.time_zone, "America/New_York");
        Ok(())
    }

    #[test]
    fn a_first_configuration_is_good_whatever_was_answered() {
        let odd = "it's \"quoted\" \\ ✓".to_owned();
        let answers = Answers {
            database: "postgresql://rowbell@/crm?host=/run/postgresql".to_owned(),
            channel_id: odd.clone(),
            template: odd.clone(),
            namespace: odd,
            region: "US".to_owned(),
            time_zone: String::new(),
            tables: Vec::new(),
        };
        let wrong = readable(&text(&answers, "1msg.token")).err().map(|error| error.to_string());
        assert_eq!(wrong, None);
    }
}
