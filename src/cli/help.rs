//! What the program says of itself: its commands by what they are for, and the sections of its manual.

use clap::{Command, CommandFactory as _};

use crate::cli::Cli;
use crate::cli::text::wrapped;

/// The commands in the order in which a site needs them.
pub const GROUPS: [(&str, &[&str]); 5] = [
    ("To begin", &["init", "suggest", "check", "migrate", "watch", "unwatch"]),
    ("To try", &["preview", "send-test"]),
    ("To run", &["run", "webhook", "outgoing", "channel", "adopt"]),
    ("To look", &["doctor", "status", "explain", "held", "config"]),
    (
        "To decide",
        &[
            "approve", "discard", "catch-up", "pause", "resume", "retry", "settle", "opt-out",
            "forget",
        ],
    ),
];

/// Those that stand in no group.
const OTHERS: [&str; 3] = ["completions", "man", "help"];

const TEMPLATE: &str = "{before-help}{about-with-newline}\n{usage-heading} {usage}\n\nCommands:{after-help}\n\nOptions:\n{options}";

/// Columns of the list of commands where the terminal has more.
const WIDEST: usize = 100;

/// What one types.
const EXAMPLES_OF: [(&str, &str); 12] = [
    ("init", "rowbell init --table public.delivery"),
    ("preview", "rowbell preview home_delivery 17 --set status=shipped"),
    ("send-test", "rowbell send-test home_delivery 17 --to +12025550143"),
    ("explain", "rowbell explain home_delivery 17"),
    ("approve", "rowbell approve --limit 10"),
    ("discard", "rowbell discard --as-told"),
    ("catch-up", "rowbell catch-up home_delivery --since 30d"),
    ("pause", "rowbell pause channel main"),
    ("retry", "rowbell retry --since 2h --reason rejected"),
    ("settle", "rowbell settle 4711 --arrived"),
    ("outgoing", "rowbell outgoing redeliver crm --since 2h"),
    ("forget", "rowbell forget +12025550143"),
];

/// The commands as they are, each with an example where one helps.
pub fn plain() -> Command {
    EXAMPLES_OF.into_iter().fold(Cli::command(), |command, (name, example)| {
        command.mut_subcommand(name, |sub| sub.after_help(format!("Example:\n  {example}")))
    })
}

/// The command line, with its commands in groups.
pub fn command() -> Command {
    let command = plain();
    let list = list(&command);
    command.help_template(TEMPLATE).after_help(list.clone()).after_long_help(list)
}

fn list(command: &Command) -> String {
    let width = comfy_table::Table::new().width().map_or(WIDEST, usize::from).min(WIDEST);
    let line = |name: &str| {
        let about = command.find_subcommand(name).and_then(Command::get_about);
        let about =
            about.map_or_else(|| "Show the help of a command".to_owned(), ToString::to_string);
        wrapped(&format!("    {name:<11} {about}"), width, 16)
    };
    let mut text = String::new();
    for (title, names) in GROUPS.iter().chain(&[("Besides", &OTHERS as &[&str])]) {
        text += &format!("\n  {title}:\n");
        for name in *names {
            text += &format!("{}\n", line(name));
        }
    }
    text.trim_end().to_owned()
}

/// What `man rowbell` says besides, and `man rowbell-run`: sections in the language of `man`.
pub fn sections(commands: &[String]) -> String {
    let words: Vec<&str> = commands.iter().map(String::as_str).collect();
    let mut text = match words.as_slice() {
        [] => FILES.to_owned() + ENVIRONMENT + EXIT_STATUS + EXAMPLES,
        ["run"] => SIGNALS.to_owned() + ENVIRONMENT + EXIT_STATUS,
        _ => EXIT_STATUS.to_owned(),
    };
    text += match words.as_slice() {
        [] => SEE_ALSO,
        _ => ".SH SEE ALSO\n\\fBrowbell\\fR(1)\n",
    };
    text
}

const FILES: &str = r#".SH FILES
.TP
.I /etc/rowbell/rowbell.toml
The configuration; \fBrowbell config default\fR prints every setting with its meaning.
.TP
.I /etc/rowbell/watch.d/*.toml
Belongs to it, in the order of the names; as a rule one file for each watch.
.TP
.I /etc/rowbell/1msg.token
The token of a channel, where the configuration says so. A relative path is looked for among the credentials of systemd, then in the folder of the configuration.
"#;

const ENVIRONMENT: &str = r#".SH ENVIRONMENT
.TP
.B ROWBELL_CONFIG
The configuration, unless \fB\-\-config\fR names one.
.TP
.B ROWBELL__SECTION__KEY
A setting, above all files: \fBROWBELL__DATABASE__URL\fR is \fBurl\fR of \fB[database]\fR.
.TP
.B CREDENTIALS_DIRECTORY
Where systemd has put secrets.
.TP
.B NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS, LISTEN_FDNAMES
How systemd is told of the state, whether it watches over the daemon, and which sockets it has opened: \fBwebhook\fR, \fBmetrics\fR, \fBpage\fR.
.TP
.B NO_COLOR
Nothing is coloured.
"#;

const EXIT_STATUS: &str = r#".SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Failed; or something is wrong, for \fBcheck\fR and \fBdoctor\fR.
.TP
.B 2
The command line is wrong.
.TP
.B 3
\fBdoctor\fR found what works and may not be meant, and nothing worse.
.TP
.B 0, 1, 2, 3
\fBstatus \-\-exit\-code\fR: nothing needs attention; something does; customers are not told; it cannot be seen.
.TP
.B 69
The database cannot be used.
.TP
.B 78
The configuration is wrong.
"#;

const SIGNALS: &str = r#".SH SIGNALS
.TP
.B SIGTERM, SIGINT
Takes nothing new, finishes what is in flight for at most \fBdelivery.shutdown_timeout\fR, and ends.
.TP
.B SIGHUP
Reads the configuration again and takes it over without a gap; one that cannot be used changes nothing. On a terminal that is closed it ends the daemon in order.
"#;

const EXAMPLES: &str = r#".SH EXAMPLES
.TP
.B rowbell init \-\-table public.delivery
Writes a first configuration, with a watch for a table.
.TP
.B rowbell preview home_delivery 17 \-\-set status=shipped
Shows what a change of a row would say.
.TP
.B rowbell status
Shows what needs a person, and what to do.
.TP
.B rowbell explain home_delivery 17
Tells what happened to a row.
.TP
.B rowbell man config show | man \-l \-
Shows the manual of a command.
"#;

const SEE_ALSO: &str = r#".SH SEE ALSO
\fBrowbell.toml\fR(5), \fBpsql\fR(1), \fBsystemctl\fR(1), \fBjournalctl\fR(1)
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_command() {
        for (name, example) in EXAMPLES_OF {
            let parsed = command().try_get_matches_from(example.split(' '));
            assert!(parsed.is_ok(), "{name}: {example}: {:?}", parsed.err());
        }
    }

    #[test]
    fn every_command_stands_in_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        grouped.extend(OTHERS.iter().filter(|name| **name != "help"));
        grouped.sort_unstable();
        let command = Cli::command();
        let mut known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        known.sort_unstable();
        assert_eq!(grouped, known);
    }
}
