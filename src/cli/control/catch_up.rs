//! `rowbell catch-up`: tells what was never captured.

use clap::Args;
use serde_json::json;

use crate::cli::acting::acting;
use crate::cli::confirm::agreed;
use crate::cli::connection::connect;
use crate::cli::control::hold::would_say;
use crate::cli::control::retry::time_of;
use crate::cli::error::CliError;
use crate::cli::inspect::explain;
use crate::cli::text::count;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::person_act::PersonActKind;
use crate::domain::value::row::Row;
use crate::operations::catch_up::{self, CatchUp, CatchUpScope};
use crate::operations::preview::preview;
use crate::postgres::connection::pool::Client;
use crate::postgres::operations::person_acts::{self, PersonAct};

/// Rows shown as examples.
const EXAMPLES: usize = 3;

#[derive(Debug, Args)]
pub struct CatchUpArgs {
    /// The watch.
    watch: String,
    /// Only rows of which somebody was told since then, and none of which nobody was ever told: a time such as
    /// 2026-06-24T09:00Z, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only rows that meet this condition, in SQL, such as "updated_at > now() - interval '2 days'"; one that is gone
    /// as it was told last.
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &CatchUpArgs, config: &Config) -> Result<(), CliError> {
    explain::find(config, &args.watch)?;
    let clock = Clock::system();
    let since = args.since.as_deref().map(|since| time_of("--since", since, clock.now()));
    let scope = CatchUpScope { since: since.transpose()?, condition: args.condition.clone() };
    let mut client = connect(config).await?;
    let found = catch_up::look(&mut client, config, &clock, &args.watch, &scope)
        .await
        .map_err(anyhow::Error::from)?;
    if !args.json {
        print!("{}", shown(&mut client, config, &args.watch, &found).await);
    }
    let missed = found.missed.len() as i64;
    let question = format!("Hold {} for approval?", count(missed, "row"));
    let is_agreed = missed == 0 || agreed(args.yes, &question)?;
    if is_agreed && scope.is_whole() {
        let done = catch_up::done(&client, &args.watch, clock.now()).await;
        done.map_err(anyhow::Error::from)?;
    }
    let hold = match missed > 0 && is_agreed {
        true => {
            let hold = catch_up::hold(&mut client, &args.watch, &found, clock.now()).await;
            let hold = hold.map_err(anyhow::Error::from)?;
            let who = acting(&client).await?;
            let reason = args.condition.as_deref();
            let act = PersonAct { who: &who, kind: PersonActKind::CaughtUp, reason };
            let (about, now) = ((args.watch.as_str(), hold), clock.now());
            let noted = person_acts::record_hold(&**client, act, about, missed, now).await;
            noted.map_err(anyhow::Error::from)?;
            Some(hold)
        }
        false => None,
    };
    match hold {
        _ if args.json => println!(
            "{}",
            json!({"watch": args.watch, "compared": found.compared, "missed": missed, "untold": found.untold, "leaves_untold": found.leaves_untold, "hold": hold})
        ),
        Some(hold) => println!(
            "hold {hold}: nothing leaves until you say so; rowbell approve {hold} lets them leave, rowbell discard {hold} ends them"
        ),
        None => {}
    }
    Ok(())
}

/// What was found, with the words of the first few messages.
async fn shown(client: &mut Client, config: &Config, watch: &str, found: &CatchUp) -> String {
    let compared = count(found.compared as i64, "row");
    let left = match found.leaves_untold {
        true => {
            "rows of which nobody was ever told are left out: rowbell does not know since when they are there; without --since, and with --where, they are compared too\n"
        }
        false => "",
    };
    if found.missed.is_empty() {
        return format!(
            "{compared} of watch {watch} compared: people know them as they are\n{left}"
        );
    }
    let mut text =
        format!("{compared} of watch {watch} compared, {} to catch up with:\n", found.missed.len());
    if found.untold > 0 {
        text += &format!(
            "of {} of them nobody was ever told: they came while nothing was captured, or were there before the watch; --where chooses among them\n",
            found.untold
        );
    }
    text += left;
    for missed in found.missed.iter().take(EXAMPLES) {
        let (clock, key) = (Clock::system(), &missed.entity_key);
        let said = match preview(client, config, &clock, watch, key, &Row::default()).await {
            Ok(shown) => shown.iter().map(would_say).collect::<Vec<_>>().join("; "),
            Err(error) => format!("cannot be shown: {error}"),
        };
        text += &format!("  {key}: {said}\n");
    }
    text
}
