//! Pages of the manual: one for each command, and rowbell.toml(5), which is `default.toml` with its words.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::Command;

use crate::cli::error::CliError;
use crate::cli::help;
use crate::config::load;
use crate::finding::hint;

/// The page about the configuration, as one asks for it.
const SETTINGS: &str = "rowbell.toml";

/// Prints the page of a command, or that of the configuration.
pub fn print(words: &[String]) -> Result<(), CliError> {
    let page = match words {
        [only] if only == SETTINGS => settings(),
        words => page(&root(), words)?,
    };
    print!("{page}");
    Ok(())
}

/// Writes all pages into a folder, named as `man` looks for them.
pub fn write_all(folder: &Path) -> Result<(), CliError> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let root = root();
    let mut all = Vec::new();
    gather(&root, &mut Vec::new(), &mut all);
    for words in &all {
        let name = format!("{}.1", name(words));
        write(&folder.join(name), &page(&root, words)?)?;
    }
    write(&folder.join(format!("{SETTINGS}.5")), &settings())
}

fn write(file: &Path, text: &str) -> Result<(), CliError> {
    fs::write(file, text).with_context(|| format!("could not write {}", file.display()))?;
    Ok(())
}

/// A page of the manual lists the commands by itself.
fn root() -> Command {
    let mut root = help::plain();
    root.build();
    root
}

/// Every command that has a page, by its words.
fn gather(command: &Command, words: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    all.push(words.clone());
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        words.push(sub.get_name().to_owned());
        gather(sub, words, all);
        words.pop();
    }
}

fn name(words: &[String]) -> String {
    let name = std::iter::once("rowbell").chain(words.iter().map(String::as_str));
    name.collect::<Vec<_>>().join("-")
}

fn page(root: &Command, words: &[String]) -> Result<String, CliError> {
    let mut command = root;
    for name in words {
        let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        command = command.find_subcommand(name).ok_or_else(|| {
            anyhow::anyhow!("there is no command \"{name}\"{}", hint(name, &known))
        })?;
    }
    let page = clap_mangen::Man::new(command.clone()).title(name(words));
    let mut text = Vec::new();
    page.render(&mut text).map_err(anyhow::Error::from)?;
    Ok(String::from_utf8_lossy(&text).into_owned() + &help::sections(words))
}

const SETTINGS_HEAD: &str = r#".TH rowbell.toml 5
.SH NAME
rowbell.toml \- configuration of rowbell
.SH SYNOPSIS
.I /etc/rowbell/rowbell.toml
.br
.I /etc/rowbell/watch.d/*.toml
.SH DESCRIPTION
TOML. What stands here is read in this order, and the later counts: the defaults below; \fIrowbell.toml\fR; the files of
\fIwatch.d\fR beside it, in the order of their names; variables such as \fBROWBELL__DATABASE__URL\fR. A setting that there
is not is a mistake, which \fBrowbell check\fR names with file and line. \fBrowbell config show\fR prints the settings in
force, and where each was set.
.PP
\fBsystemctl reload rowbell\fR takes a new configuration over.
.SH FILES
.TP
.I /etc/rowbell/rowbell.toml
root:rowbell, 0640: it may hold a password in \fBdatabase.url\fR.
.TP
.I /etc/rowbell/1msg.token
root:root, 0600: systemd hands the daemon a copy.
.SH SETTINGS
Every section with its settings, their meaning, and their defaults. Lines that begin with # and a name show settings that
have no default.
"#;

const SETTINGS_END: &str = ".SH SEE ALSO\n\\fBrowbell\\fR(1), \\fBrowbell\\-check\\fR(1), \\fBrowbell\\-config\\-show\\fR(1)\n";

fn settings() -> String {
    let mut text = SETTINGS_HEAD.to_owned();
    text += ".nf\n";
    for line in load::DEFAULT.lines() {
        text += &verbatim(line);
        text.push('\n');
    }
    text + ".fi\n" + SETTINGS_END
}

/// A line as it stands: no request of the language of `man`, whatever it begins with.
fn verbatim(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-");
    match escaped.starts_with(['.', '\'']) {
        true => format!("\\&{escaped}"),
        false => escaped,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_so_has_every_setting() {
        let root = root();
        let mut all = Vec::new();
        gather(&root, &mut Vec::new(), &mut all);
        assert!(all.len() > 25, "the question itself must find something");
        for words in &all {
            let page = page(&root, words).unwrap();
            for section in [".SH NAME", ".SH SYNOPSIS", ".SH \"EXIT STATUS\"", ".SH \"SEE ALSO\""] {
                let bare = section.replace('"', "");
                assert!(page.contains(section) || page.contains(&bare), "{words:?}: {section}");
            }
        }
        let page = settings();
        for section in ["[database]", "[webhook]", "[log]"] {
            assert!(page.contains(section), "{section}");
        }
        assert_eq!(verbatim(".a-b\\"), "\\&.a\\-b\\e");
    }
}
