//! `rowbell init`: writes a first configuration. Each answer is tried at once where it can be: a wrong one is asked for
//! again, and those before it stay.

use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::Path;

use clap::Args;

use crate::cli::error::CliError;
use crate::cli::setup::suggest::{connect, database, watch_for};
use crate::config::load::{self, LoadError};
use crate::config::secret;
use crate::domain::recipient::numbering_plan::is_region;
use crate::domain::value::moment;
use crate::error_chain::chain;
use crate::provider::onemsg::client::OneMsgClient;
use crate::provider::onemsg::template_list;
use crate::suggest::suggestion::quoted;

/// What the first channel and the first template are called in the file.
const CHANNEL: &str = "main";
const TEMPLATE: &str = "service_change";

#[derive(Debug, Args)]
pub struct InitArgs {
    /// URL of the business's database.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Id of the channel at 1MSG.
    #[arg(long, value_name = "ID")]
    channel_id: Option<String>,
    /// Where the provider is reached, such as the sandbox of `rowbell-lab`; without it, 1MSG.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
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
#[derive(Debug, Default)]
struct Answers {
    database: String,
    channel_id: String,
    base_url: Option<String>,
    template: String,
    namespace: String,
    region: String,
    time_zone: String,
    /// Watches as they stand in a file.
    watches: Vec<String>,
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
    let mut not_done = Vec::new();
    let answers = if is_terminal {
        let asker = Asker { input: io::stdin().lock(), output: io::stderr() };
        asker.ask_all(args, &Site).await.map_err(anyhow::Error::from)?
    } else {
        given(args, &mut not_done).await?
    };
    let mut text = text(&answers, &args.token_file);
    for watch in &answers.watches {
        text += &format!("\n{watch}");
    }
    // What was written must be readable, whatever was answered.
    readable(&text)?;
    write(path, &text).map_err(|error| anyhow::anyhow!("could not write {shown}: {error}"))?;
    for (table, why) in &not_done {
        eprintln!("rowbell: no watch was written for {table}: {why}");
    }
    println!("{shown} is written; read it, and decide where it says so. Then:");
    println!("  put the token of the channel into {}", args.token_file);
    println!("  rowbell --config {shown} migrate");
    println!("  rowbell --config {shown} watch");
    println!("  rowbell --config {shown} check");
    Ok(())
}

/// What the flags say; what is missing is named all at once. Tables that cannot be watched are left out, as long as one
/// can.
async fn given(args: &InitArgs, not_done: &mut Vec<(String, String)>) -> Result<Answers, CliError> {
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
    let mut answers = Answers {
        database: value(&args.database),
        channel_id: value(&args.channel_id),
        base_url: args.base_url.clone(),
        template: args.template.clone().unwrap_or_else(|| TEMPLATE.to_owned()),
        namespace: value(&args.namespace),
        region: value(&args.region),
        time_zone: value(&args.time_zone),
        watches: Vec::new(),
    };
    if !args.tables.is_empty() {
        let client = connect(&database(&answers.database)?).await?;
        for table in &args.tables {
            match watch_for(&client, table, CHANNEL, TEMPLATE).await {
                Ok(watch) => answers.watches.push(watch),
                Err(error) if args.tables.len() == 1 => return Err(error),
                Err(error) => not_done.push((table.clone(), error.to_string())),
            }
        }
        if answers.watches.is_empty() {
            let said: Vec<String> = not_done.iter().map(|(_, why)| why.clone()).collect();
            return Err(CliError::Settings(said));
        }
    }
    Ok(answers)
}

/// Tries answers. A story has another one, which asks nobody.
trait Try {
    async fn database(&self, url: &str) -> Result<(), String>;
    /// The approved templates of the channel, each with its namespace; none where the token is not there yet.
    async fn templates(&self, answers: &Answers, token: &Path) -> Result<Vec<Approved>, String>;
    async fn watch(&self, url: &str, table: &str) -> Result<String, String>;
}

/// Name and namespace of a template.
type Approved = (String, String);

#[derive(Default)]
struct Site;

impl Try for Site {
    async fn database(&self, url: &str) -> Result<(), String> {
        let tried = async { connect(&database(url)?).await.map(drop) };
        tried.await.map_err(|error: CliError| said(error))
    }

    async fn templates(&self, answers: &Answers, token: &Path) -> Result<Vec<Approved>, String> {
        let Ok(token) = secret::secret(token) else { return Ok(Vec::new()) };
        let config =
            load::from_text(&text(answers, "/dev/null")).map_err(|error| error.to_string())?;
        let channel = &config.channel[CHANNEL];
        let Some(settings) = channel.one_msg() else { return Ok(Vec::new()) };
        let client = OneMsgClient::new(channel, settings, token).map_err(|error| chain(&error))?;
        let listed = client.all_templates().await.map_err(|error| chain(&error))?;
        let listed = template_list::read(&listed).unwrap_or_default().into_iter();
        let approved = listed.filter(|one| one.status == "approved");
        Ok(approved.map(|one| (one.name, one.namespace.unwrap_or_default())).collect())
    }

    async fn watch(&self, url: &str, table: &str) -> Result<String, String> {
        let made = async {
            let client = connect(&database(url)?).await?;
            watch_for(&client, table, CHANNEL, TEMPLATE).await
        };
        made.await.map_err(said)
    }
}

fn said(error: CliError) -> String {
    chain(anyhow::Error::from(error).as_ref())
}

/// Asks a person.
struct Asker<I, O> {
    input: I,
    output: O,
}

impl<I: BufRead, O: Write> Asker<I, O> {
    /// Asks for what no flag says. An empty answer takes what stands in brackets.
    async fn ask_all(mut self, args: &InitArgs, site: &impl Try) -> io::Result<Answers> {
        let mut answers = Answers { base_url: args.base_url.clone(), ..Answers::default() };
        let local = "postgresql://rowbell@/crm?host=/run/postgresql";
        answers.database = self.asked(&args.database, "URL of the database", local)?;
        while let Err(why) = site.database(&answers.database).await {
            let Some(other) = self.again(&why)? else { break };
            answers.database = other;
        }
        let question = "Id of the channel at 1MSG, such as ODI371267300";
        answers.channel_id = self.asked(&args.channel_id, question, "")?;
        answers.template = TEMPLATE.to_owned();
        let token = Path::new(&args.token_file);
        let approved = loop {
            match site.templates(&answers, token).await {
                Ok(approved) => break approved,
                Err(why) => match self.again(&why)? {
                    Some(other) => answers.channel_id = other,
                    None => break Vec::new(),
                },
            }
        };
        let first = approved.first().map_or(TEMPLATE, |(name, _)| name.as_str());
        answers.template = self.asked(&args.template, "Name of the approved template", first)?;
        let known = approved.iter().find(|(name, _)| *name == answers.template);
        let namespace = known.map_or("", |(_, namespace)| namespace.as_str());
        answers.namespace = self.asked(&args.namespace, "Namespace of the template", namespace)?;
        let question = "Region of phones without country code, such as US; empty: refuse them";
        answers.region = self.asked(&args.region, question, "")?.to_uppercase();
        while !answers.region.is_empty() && !is_region(&answers.region) {
            let why = format!("\"{}\" is no region; expected one such as US", answers.region);
            answers.region = self.ask(&why, "")?.to_uppercase();
        }
        self.ask_zone(args, &mut answers)?;
        self.ask_tables(args, site, &mut answers).await?;
        Ok(answers)
    }

    fn ask_zone(&mut self, args: &InitArgs, answers: &mut Answers) -> io::Result<()> {
        let question = "Time zone of customers whose row names none, such as America/New_York; empty: hours are told in UTC, \
                        with its name";
        let mut zone = self.asked(&args.time_zone, question, "")?;
        // A wrong answer is asked for again; at the end of the input there is none, which is no zone.
        while let Some(wrong) =
            Some(&zone).filter(|zone| !zone.is_empty()).and_then(|zone| time_zone(zone).err())
        {
            zone = self.ask(&wrong, "")?;
        }
        answers.time_zone = zone;
        Ok(())
    }

    async fn ask_tables(
        &mut self,
        args: &InitArgs,
        site: &impl Try,
        answers: &mut Answers,
    ) -> io::Result<()> {
        let mut wanted = args.tables.clone();
        wanted.reverse();
        loop {
            let table = match wanted.pop() {
                Some(table) => table,
                None if !args.tables.is_empty() => return Ok(()),
                None => self.ask("Table to watch, such as public.delivery; empty: no more", "")?,
            };
            if table.is_empty() {
                return Ok(());
            }
            match site.watch(&answers.database, &table).await {
                Ok(watch) => answers.watches.push(watch),
                Err(why) => writeln!(self.output, "{why}")?,
            }
        }
    }

    /// What the flag says, or else the answer.
    fn asked(
        &mut self,
        given: &Option<String>,
        question: &str,
        default: &str,
    ) -> io::Result<String> {
        given.clone().map_or_else(|| self.ask(question, default), Ok)
    }

    /// An answer did not work: another one, or None to keep it.
    fn again(&mut self, why: &str) -> io::Result<Option<String>> {
        writeln!(self.output, "{why}")?;
        let other = self.ask("Another one; empty: keep it", "")?;
        Ok(Some(other).filter(|other| !other.is_empty()))
    }

    fn ask(&mut self, question: &str, default: &str) -> io::Result<String> {
        match default {
            "" => write!(self.output, "{question}: ")?,
            default => write!(self.output, "{question} [{default}]: ")?,
        }
        self.output.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(match answer.trim() {
            "" => default.to_owned(),
            answer => answer.to_owned(),
        })
    }
}

fn text(answers: &Answers, token_file: &str) -> String {
    let Answers { database, channel_id, base_url, template, namespace, region, time_zone, .. } =
        answers;
    let base_url =
        base_url.as_ref().map_or_else(String::new, |url| format!("base_url   = {}\n", quoted(url)));
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
         token_file = {}\n{base_url}\n\
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

    /// A site on which the first answers are wrong.
    struct Strict;

    impl Try for Strict {
        async fn database(&self, url: &str) -> Result<(), String> {
            match url.contains("/shop") {
                true => Ok(()),
                false => Err("that database does not exist".to_owned()),
            }
        }

        async fn templates(&self, answers: &Answers, _: &Path) -> Result<Vec<Approved>, String> {
            match answers.channel_id.as_str() {
                "ODI1" => Ok(vec![("order_news".to_owned(), "3f1c".to_owned())]),
                _ => Err("the provider answered 404: no such channel".to_owned()),
            }
        }

        async fn watch(&self, _: &str, table: &str) -> Result<String, String> {
            match table {
                "public.delivery" => Ok("[watch.delivery]\n".to_owned()),
                _ => Err(format!("there is no table {table} that can be watched")),
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_answer_is_asked_for_again_and_the_others_stay() -> io::Result<()> {
        let line = Line::parse_from(["init", "--base-url", "http://127.0.0.1:8471"]);
        let mut said = Vec::new();
        let typed = "\npostgresql://rowbell@/shop\nODI2\nODI1\n\n\nusa\nus\nNew York\nAmerica/New_York\n\
                     delivry\npublic.delivery\n\n";
        let asker = Asker { input: typed.as_bytes(), output: &mut said };
        let answers = asker.ask_all(&line.args, &Strict).await?;
        insta::assert_snapshot!(String::from_utf8_lossy(&said).replace(": ", ":\n"));
        assert_eq!(answers.database, "postgresql://rowbell@/shop");
        assert_eq!(answers.channel_id, "ODI1");
        assert_eq!(
            (answers.template.as_str(), answers.namespace.as_str()),
            ("order_news", "3f1c"),
            "as the provider lists them"
        );
        assert_eq!(answers.region, "US");
        assert_eq!(answers.time_zone, "America/New_York");
        assert_eq!(answers.watches, ["[watch.delivery]\n"]);
        assert!(text(&answers, "1msg.token").contains("base_url   = \"http://127.0.0.1:8471\""));
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
            ..Answers::default()
        };
        let wrong = readable(&text(&answers, "1msg.token")).err().map(|error| error.to_string());
        assert_eq!(wrong, None);
    }
}
