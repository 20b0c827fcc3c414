//! `rowbell status`: how the whole installation stands, and what needs a person.

use std::mem::discriminant;

use clap::Args;
use comfy_table::Table;
use jiff::Timestamp;

use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::cli::inspect::status_verdict::Verdict;
use crate::cli::inspect::{status_blockers, status_channels, status_endpoints};
use crate::cli::text::{LATE, age, are, count, fitted, table, terminal_width, wrapped};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::load::LoadError;
use crate::domain::message::state::{Skip, State};
use crate::error_chain::chain;
use crate::finding::Finding;
use crate::postgres::connection::identity;
use crate::postgres::operations::status_report::{
    self, DoorbellState, OUTCOME_HOURS, OutcomeCount, RetryReason, Status, Trigger, WatchStatus,
};

/// The queue of notifications is emptied within moments; so much in it means that somebody keeps it from that.
const QUEUE_IS_FILLING: f64 = 0.05;

/// Clocks that differ by more seconds than this are worth a word.
const CLOCK_DIFFERS: f64 = 1.0;

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// For Nagios and its relatives: one line first; ends with 0 where nothing needs attention, 1 warning, 2 critical, 3
    /// where it cannot be seen.
    #[arg(long)]
    exit_code: bool,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

pub async fn run(
    args: &StatusArgs,
    config: impl FnOnce() -> Result<Config, LoadError>,
) -> Result<(), CliError> {
    let looked = look(args, config).await;
    match looked {
        Err(error) if args.exit_code && !matches!(error, CliError::Said(_)) => {
            let why = chain(anyhow::Error::from(error).as_ref());
            println!("{}", Verdict::Unknown.line(&[why]));
            Err(CliError::Said(Verdict::Unknown.exit_code()))
        }
        looked => looked,
    }
}

async fn look(
    args: &StatusArgs,
    config: impl FnOnce() -> Result<Config, LoadError>,
) -> Result<(), CliError> {
    let config = &config()?;
    let client = connect(config).await?;
    let clock = Clock::system();
    let asked_at = clock.steady();
    let told = identity::server_time(&client).await.map_err(anyhow::Error::from)?;
    clock.follow(asked_at, told);
    let now = clock.now();
    let mut status =
        status_report::status(&client, config, now).await.map_err(anyhow::Error::from)?;
    status.clock_ahead_seconds = clock.host().duration_since(now).as_secs_f64();
    let needs = attention(&status);
    let verdict = Verdict::of(&status, &needs);
    if args.exit_code && !args.json {
        println!("{}\n", verdict.line(&needs));
    }
    if args.json {
        let mut shown = serde_json::to_value(&status).map_err(anyhow::Error::from)?;
        shown["needs_attention"] = attention(&status).into();
        println!("{shown:#}");
    } else {
        print!("{}", as_text_within(&status, terminal_width()));
    }
    match args.exit_code && verdict != Verdict::Ok {
        true => Err(CliError::Said(verdict.exit_code())),
        false => Ok(()),
    }
}

/// Tables, then what needs attention.
pub fn as_text(status: &Status) -> String {
    as_text_within(status, None)
}

/// The same, in a terminal of so many columns.
pub fn as_text_within(status: &Status, width: Option<usize>) -> String {
    let mut text = format!(
        "schema     version {}\ndaemon     {}\ndoorbell   {}\n\n",
        status.schema_version.map_or_else(|| "unknown".to_owned(), |version| version.to_string()),
        daemon(status),
        match status.doorbell {
            DoorbellState::Parked => "parked: writers ring",
            DoorbellState::Awake => "awake: writers need not ring",
        },
    );
    let daemons = (!status.daemons.is_empty()).then(|| status_channels::daemons(status));
    let tables = [watches(status), status_channels::table_of(status), outcomes(status)];
    for table in daemons.into_iter().chain(tables) {
        text += &fitted(&table, width);
        text += "\n\n";
    }
    let needs = attention(status);
    if needs.is_empty() {
        return text + "Nothing needs attention.\n";
    }
    text += "Needs attention:\n";
    for need in needs {
        let need = format!("- {need}");
        let need = width.map_or(need.clone(), |width| wrapped(&need, width, 2));
        text += &format!("{need}\n");
    }
    text
}

fn daemon(status: &Status) -> String {
    let seen = &status.daemon;
    match (seen.sessions, seen.connected_since) {
        (0, _) => "not connected".to_owned(),
        (sessions, None) => format!("connected, {}", count(sessions, "session")),
        (sessions, Some(since)) => {
            format!("connected for {}, {}", age(since, status.taken_at), count(sessions, "session"))
        }
    }
}

fn watches(status: &Status) -> Table {
    let mut table = table(&["WATCH", "TABLE", "TRIGGER", "NOT FOLDED", "OLDEST"]);
    for watch in &status.watches {
        table.add_row([
            watch.watch.clone(),
            watch.table.clone().unwrap_or_else(|| "–".to_owned()),
            watch.trigger.into_str().to_owned(),
            watch.changes.to_string(),
            watch.oldest_changed_at.map_or("–".to_owned(), |at| age(at, status.taken_at)),
        ]);
    }
    table
}

/// One row for each state, in the order of a message's life; reasons beside it, most frequent first.
fn outcomes(status: &Status) -> Table {
    let title = format!("LAST {OUTCOME_HOURS} H");
    let mut table = table(&[&title, "MESSAGES", "REASONS"]);
    let is_same = |one: &OutcomeCount, other: &OutcomeCount| {
        discriminant(&one.state) == discriminant(&other.state)
    };
    for same in status.outcomes.chunk_by(is_same) {
        let mut reasons: Vec<(i64, &str)> =
            same.iter().filter_map(|o| Some((o.messages, o.state.reason()?))).collect();
        reasons.sort_by_key(|(messages, reason)| (-messages, *reason));
        let reasons: Vec<String> =
            reasons.iter().map(|(messages, reason)| format!("{reason} {messages}")).collect();
        table.add_row([
            same[0].state.into_str().to_owned(),
            same.iter().map(|o| o.messages).sum::<i64>().to_string(),
            reasons.join(", "),
        ]);
    }
    if status.outcomes.is_empty() {
        table.add_row(["none", "0", ""]);
    }
    table
}

/// What a person should look at, as sentences that say what to do.
fn attention(status: &Status) -> Vec<String> {
    let mut needs: Vec<String> =
        daemon_findings(status).into_iter().map(|found| found.what).collect();
    needs.extend(filling_queue(status.notification_queue_usage));
    needs.extend(status_blockers::needs(&status.blockers, status.taken_at));
    status.watches.iter().for_each(|watch| {
        needs.extend(trigger_needs(watch));
        watch_needs(watch, status.taken_at, &mut needs);
    });
    needs.extend(message_needs(status));
    needs
}

/// The same for `doctor`, without what it finds by itself.
pub fn findings(status: &Status) -> Vec<Finding> {
    let mut found = daemon_findings(status);
    found.extend(status_blockers::findings(&status.blockers, status.taken_at));
    for watch in &status.watches {
        let mut needs = Vec::new();
        watch_needs(watch, status.taken_at, &mut needs);
        let (key, is_unknown) =
            (format!("watch.{}", watch.watch), watch.trigger == Trigger::NotConfigured);
        found.extend(needs.into_iter().map(|what| match is_unknown {
            true => Finding::warning("", what).rowbell(format!("unwatch {}", watch.watch)),
            false => Finding::warning(key.clone(), what),
        }));
    }
    found.extend(message_needs(status).into_iter().map(|what| Finding::warning("", what)));
    found
}

/// What is wrong with the daemon itself.
fn daemon_findings(status: &Status) -> Vec<Finding> {
    let mut found = Vec::new();
    if status.daemon.sessions == 0 {
        let what = "no daemon is connected to this database: start it (systemctl start rowbell), or see why it \
                    ended (journalctl -u rowbell)";
        found.push(Finding::new("daemon", what).shell("systemctl start rowbell"));
    }
    if let Some(recipients) = status.only_to {
        let what = format!(
            "ONLY TO: messages leave for {} of installation.only_to; everybody else is skipped (outside_only_to)",
            count(recipients as i64, "recipient")
        );
        found.push(Finding::note("installation.only_to", what));
    }
    if let Some(what) = wrong_clock(status.clock_ahead_seconds) {
        found.push(Finding::warning("clock", what).shell("timedatectl set-ntp true"));
    }
    found
}

/// What channels and messages need.
fn message_needs(status: &Status) -> Vec<String> {
    let mut needs = Vec::new();
    status
        .channels
        .iter()
        .for_each(|channel| status_channels::needs(channel, status.taken_at, &mut needs));
    needs.extend(status_endpoints::needs(&status.endpoints, status.taken_at));
    needs.extend(mostly_muted(status));
    let retrying: i64 = status.outcomes.iter().map(|outcome| outcome.retrying).sum();
    if retrying > 0 {
        needs.push(format!(
            "{} tried in vain and will be tried again: {}",
            were(retrying),
            reasons(&status.retry_reasons)
        ));
    }
    let in_doubt = undecided(status);
    if in_doubt > 0 {
        needs.push(format!(
            "{} unconfirmed, and no evidence came in time; a person has to look: rowbell settle",
            are(in_doubt)
        ));
    }
    if let Some(recorded) = status.outcomes.iter().find(|o| o.state == State::Skipped(Skip::DryRun))
    {
        needs.push(format!(
            "{} of the last {OUTCOME_HOURS} h {} recorded by a dry run and not sent: select * from \
             rowbell_report.dry_runs; to send them after all: rowbell retry --since {OUTCOME_HOURS}h --reason dry_run",
            count(recorded.messages, "message"),
            if recorded.messages == 1 { "was" } else { "were" }
        ));
    }
    if status.outcomes.iter().any(|outcome| matches!(outcome.state, State::Failed(_))) {
        needs.push(format!(
            "messages failed in the last {OUTCOME_HOURS} h: select * from rowbell_report.failures order by failed_at desc"
        ));
    }
    needs
}

/// Messages of the last hour from which on it is odd that most of them are muted.
const ODD: i64 = 10;

fn mostly_muted(status: &Status) -> Option<String> {
    let seen = &status.muted;
    (seen.muted >= ODD && seen.muted * 2 > seen.messages).then(|| {
        format!(
            "{} of the latest {} within an hour are muted and told to nobody, most often: {}. Where a session sets \
             rowbell.mute without \"local\", all that follows in it is muted",
            seen.muted,
            count(seen.messages, "message"),
            seen.most_often.as_deref().unwrap_or("no reason")
        )
    })
}

fn wrong_clock(ahead: f64) -> Option<String> {
    let what = if ahead > 0.0 { "ahead of" } else { "behind" };
    (ahead.abs() > CLOCK_DIFFERS).then(|| {
        format!(
            "the clock of this host is {:.0} s {what} the database's, by which rowbell goes; have both set by NTP",
            ahead.abs()
        )
    })
}

/// Why messages are tried again, most frequent first.
fn reasons(reasons: &[RetryReason]) -> String {
    let said: Vec<String> = match reasons {
        [] => vec!["the last of them has just left".to_owned()],
        [only] => vec![only.why.clone()],
        several => several.iter().map(|one| format!("{} ({})", one.why, one.messages)).collect(),
    };
    said.join("; ")
}

/// The server keeps a notification until every session that listens has taken it, which it does not do within a
/// transaction.
fn filling_queue(usage: f64) -> Option<String> {
    (usage > QUEUE_IS_FILLING).then(|| {
        format!(
            "PostgreSQL's queue of notifications is {:.0} % full; once it is full, every transaction that rings fails, those of \
             the business too. Somebody listens and does not end a transaction: select pid, usename, application_name, \
             xact_start, query from pg_stat_activity where xact_start is not null order by xact_start",
            usage * 100.0
        )
    })
}

/// Unconfirmed messages for which no evidence is awaited any more: they have left the queue.
fn undecided(status: &Status) -> i64 {
    let all = status.outcomes.iter().filter(|outcome| outcome.state == State::Unconfirmed);
    let awaited = status.channels.iter().map(|channel| channel.unconfirmed);
    all.map(|outcome| outcome.messages).sum::<i64>() - awaited.sum::<i64>()
}

/// What is wrong with the trigger and the SQL of a watch.
fn trigger_needs(watch: &WatchStatus) -> Vec<String> {
    let problem = watch.problem.as_ref().map(|problem| match watch.trigger {
        // It begins with the name of the setting.
        Trigger::Unusable => problem.clone(),
        _ => format!("watch {}: {problem}", watch.watch),
    });
    problem.into_iter().chain(watch.faults.iter().cloned()).collect()
}

fn watch_needs(watch: &WatchStatus, now: Timestamp, needs: &mut Vec<String>) {
    let name = &watch.watch;
    if watch.waiting > 0 {
        let because = watch.waits_because.as_ref().map_or(String::new(), |why| format!(": {why}"));
        needs.push(format!(
            "watch {name}: {} for it to be usable{because}",
            if watch.waiting == 1 {
                "1 message waits".to_owned()
            } else {
                format!("{} messages wait", watch.waiting)
            }
        ));
    }
    if watch.trigger == Trigger::NotConfigured {
        let what = match (watch.changes, &watch.table) {
            (0, Some(table)) => format!("its trigger on {table} records changes that nobody takes"),
            (1, _) => "1 change waits for it".to_owned(),
            (changes, _) => format!("{changes} changes wait for it"),
        };
        needs.push(format!(
            "watch {name} is not in the configuration, but {what}; bring the watch back, or remove its trigger and its \
             changes (rowbell unwatch {name})"
        ));
    } else if watch.oldest_changed_at.is_some_and(|at| now.duration_since(at) > LATE) {
        needs.push(format!(
            "watch {name}: changes have waited for {} to be folded; is the daemon running, and what does its log say of this watch?",
            watch.oldest_changed_at.map_or(String::new(), |at| age(at, now))
        ));
    }
    if watch.unreadable > 0 {
        needs.push(format!(
            "watch {name}: the trigger could not read {}; see capture_error in rowbell.change",
            count(watch.unreadable, "row")
        ));
    }
}

fn were(messages: i64) -> String {
    format!("{} {}", count(messages, "message"), if messages == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::message::receipt::ReceiptSourceState::{self, Missing, Works};
    use crate::postgres::operations::channel_moves::RunningDaemon;
    use crate::postgres::operations::status_report::{
        ChannelStatus, DaemonStatus, MutedShare, ReceiptSource,
    };

    fn at(text: &str) -> Timestamp {
        format!("2026-06-24T{text}Z").parse().unwrap()
    }

    fn outcome(state: &str, reason: Option<&str>, messages: i64) -> OutcomeCount {
        OutcomeCount { state: State::parse(state, reason).unwrap(), messages, retrying: 0 }
    }

    fn watch(name: &str, trigger: Trigger, changes: i64, oldest: Option<&str>) -> WatchStatus {
        WatchStatus {
            watch: name.to_owned(),
            table: (trigger != Trigger::NotConfigured).then(|| format!("public.{name}")),
            trigger,
            problem: None,
            changes,
            unreadable: 0,
            oldest_changed_at: oldest.map(at),
            faults: Vec::new(),
            waiting: 0,
            waits_because: None,
        }
    }

    fn heard(
        state: ReceiptSourceState,
        since: Timestamp,
        last_worked_at: Option<Timestamp>,
    ) -> ReceiptSource {
        let state = Some(state);
        ReceiptSource { is_on: true, state, since: Some(since), last_worked_at, detail: None }
    }

    fn calm() -> Status {
        Status {
            taken_at: at("12:00:00"),
            schema_version: Some(6),
            doorbell: DoorbellState::Parked,
            notification_queue_usage: 0.0,
            clock_ahead_seconds: 0.0,
            daemon: DaemonStatus { sessions: 3, connected_since: Some(at("08:30:00")) },
            daemons: vec![RunningDaemon {
                instance: "5f3a91c2d4e6b708".to_owned(),
                name: "crm-1/4711".to_owned(),
                channels: vec!["main".to_owned()],
                started_at: at("08:30:00"),
            }],
            only_to: None,
            watches: vec![watch("delivery", Trigger::Installed, 1, Some("11:59:58"))],
            channels: vec![ChannelStatus {
                channel: "main".to_owned(),
                is_configured: true,
                has_receipts: true,
                open: 2,
                leased: 1,
                oldest_due_at: Some(at("12:00:18")),
                rate: Some(80.0),
                leased_by: Some("5f3a91c2d4e6b708".to_owned()),
                polling: heard(Works, at("11:00:00"), Some(at("11:59:40"))),
                ..ChannelStatus::default()
            }],
            muted: MutedShare::default(),
            outcomes: vec![outcome("sent", None, 4), outcome("delivered", None, 120)],
            retry_reasons: Vec::new(),
            blockers: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    /// What a monitoring system makes of it at night.
    #[test]
    fn a_person_is_woken_for_what_keeps_customers_from_being_told_and_for_nothing_else() {
        let verdict = |change: fn(&mut Status)| {
            let mut status = calm();
            change(&mut status);
            let needs = attention(&status);
            let verdict = Verdict::of(&status, &needs);
            (verdict.exit_code(), verdict.line(&needs))
        };
        assert_eq!(verdict(|_| ()), (0, "ROWBELL OK - nothing needs attention".to_owned()));
        let (code, line) = verdict(|status| status.clock_ahead_seconds = 3.0);
        assert!(
            code == 1 && line.starts_with("ROWBELL WARNING - the clock of this host"),
            "{line}"
        );
        let (code, line) = verdict(|status| status.daemon.sessions = 0);
        assert!(code == 2 && line.starts_with("ROWBELL CRITICAL - no daemon"), "{line}");
        assert_eq!(
            verdict(|status| status.watches[0].oldest_changed_at = Some(at("11:00:00"))).0,
            2
        );
        assert_eq!(verdict(|status| status.channels[0].oldest_due_at = Some(at("11:00:00"))).0, 2);
        let (code, line) = verdict(|status| {
            status.clock_ahead_seconds = 3.0;
            status.notification_queue_usage = 0.6;
        });
        assert!(code == 2 && line.ends_with("(and 1 more)"), "{line}");
    }

    #[test]
    fn all_is_well() {
        insta::assert_snapshot!(as_text(&calm()), @r"
        schema     version 6
        daemon     connected for 3 h 30 min, 3 sessions
        doorbell   parked: writers ring

        DAEMON      RUNS FOR    SENDS ON
        crm-1/4711  3 h 30 min  main

        WATCH     TABLE            TRIGGER    NOT FOLDED  OLDEST
        delivery  public.delivery  installed  1           2 s

        CHANNEL  OPEN  HELD  LEASED  UNCONFIRMED  NEXT DUE  WAITS FOR  RATE  SENT BY     WEBHOOK  POLLING
        main     2     0     1       0            in 18 s   –          80/s  crm-1/4711  off      heard 20 s ago

        LAST 24 H  MESSAGES  REASONS
        sent       4
        delivered  120

        Nothing needs attention.
        ");
    }

    /// An installation in which all that can be wrong is.
    fn troubled() -> Status {
        let mut status = calm();
        status.daemon = DaemonStatus { sessions: 0, connected_since: None };
        status.daemons.clear();
        status.clock_ahead_seconds = -30.4;
        status.doorbell = DoorbellState::Awake;
        status.notification_queue_usage = 0.624;
        let problem = "public.clinic has no trigger for it; run `rowbell watch`".to_owned();
        status.watches = vec![
            WatchStatus { problem: Some(problem), ..watch("clinic", Trigger::Missing, 0, None) },
            WatchStatus {
                faults: vec![
                    "watch.delivery.lookup.place_id.sql: permission denied for table place".to_owned(),
                ],
                waiting: 3,
                waits_because: Some(
                    "the watch cannot be used: watch.delivery.recipient: permission denied for table customer"
                        .to_owned(),
                ),
                ..watch("delivery", Trigger::Installed, 12, Some("09:55:00"))
            },
            watch("old", Trigger::NotConfigured, 1, Some("11:00:00")),
        ];
        status.channels[0] = ChannelStatus {
            held: 1,
            unconfirmed: 2,
            oldest_due_at: Some(at("11:50:00")),
            waits_for_rate: 2,
            waits_for_blocker: 4,
            waits_for_recipient_limit: 3,
            waits_for_recipients: 1,
            learned_rate: Some(22.504),
            leased_by: None,
            polling: heard(Missing, at("09:00:00"), None),
            ..status.channels[0].clone()
        };
        let why = |messages, why: &str| RetryReason { messages, why: why.to_owned() };
        status.retry_reasons = vec![why(1, "connection refused"), why(1, "HTTP 503")];
        status.outcomes = vec![
            OutcomeCount { retrying: 2, ..outcome("scheduled", None, 5) },
            outcome("unconfirmed", None, 3),
            outcome("failed", Some("rejected"), 1),
            outcome("failed", Some("undeliverable"), 7),
            outcome("skipped", Some("no_net_change"), 3),
        ];
        status
    }

    #[test]
    fn what_is_wrong_comes_last_with_what_to_do() {
        let status = troubled();
        insta::assert_snapshot!(as_text(&status), @r"
        schema     version 6
        daemon     not connected
        doorbell   awake: writers need not ring

        WATCH     TABLE            TRIGGER         NOT FOLDED  OLDEST
        clinic    public.clinic    missing         0           –
        delivery  public.delivery  installed       12          2 h 5 min
        old       –                not configured  1           1 h

        CHANNEL  OPEN  HELD  LEASED  UNCONFIRMED  NEXT DUE    WAITS FOR                                           RATE    SENT BY  WEBHOOK  POLLING
        main     2     1     1       2            10 min ago  rate 2, blocker 4, recipient limit 3, recipients 1  22.5/s  –        off      missing for 3 h

        LAST 24 H    MESSAGES  REASONS
        scheduled    5
        unconfirmed  3
        failed       8         undeliverable 7, rejected 1
        skipped      3         no_net_change 3

        Needs attention:
        - no daemon is connected to this database: start it (systemctl start rowbell), or see why it ended (journalctl -u rowbell)
        - the clock of this host is 30 s behind the database's, by which rowbell goes; have both set by NTP
        - PostgreSQL's queue of notifications is 62 % full; once it is full, every transaction that rings fails, those of the business too. Somebody listens and does not end a transaction: select pid, usename, application_name, xact_start, query from pg_stat_activity where xact_start is not null order by xact_start
        - watch clinic: public.clinic has no trigger for it; run `rowbell watch`
        - watch.delivery.lookup.place_id.sql: permission denied for table place
        - watch delivery: 3 messages wait for it to be usable: the watch cannot be used: watch.delivery.recipient: permission denied for table customer
        - watch delivery: changes have waited for 2 h 5 min to be folded; is the daemon running, and what does its log say of this watch?
        - watch old is not in the configuration, but 1 change waits for it; bring the watch back, or remove its trigger and its changes (rowbell unwatch old)
        - channel main: a message has been due for 10 min; is the daemon running, or is the channel's rate too low?
        - channel main: the provider asked to slow down: it sends 22.5/s instead of 80/s, which grows back within minutes; if this comes again and again, lower channel.main.rate
        - channel main: 1 message is put off to the next day by channel.main.daily_recipients
        - channel main: nothing tells what becomes of its messages: there is no webhook, and the provider cannot be asked (hookInfo: 404); set webhook.listen
        - channel main: 1 message is held until a person decides
        - channel main: 2 messages are unconfirmed: whether the provider took it is not known, evidence is awaited
        - 2 messages were tried in vain and will be tried again: connection refused (1); HTTP 503 (1)
        - 1 message is unconfirmed, and no evidence came in time; a person has to look: rowbell settle
        - messages failed in the last 24 h: select * from rowbell_report.failures order by failed_at desc
        ");
    }
}
