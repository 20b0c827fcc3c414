//! `.pgpass`: passwords by host, port, database and user, as libpq reads them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// Why a file of passwords cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordFileError {
    #[error("could not read the file of passwords \"{file}\"")]
    Read { file: String, source: std::io::Error },
    #[error(
        "others than its owner can reach the file of passwords \"{file}\" (mode {mode:04o}); expected mode 0600: chmod 0600 {file}"
    )]
    Exposed { file: String, mode: u32 },
}

/// The lines of a file.
pub struct Passwords(Vec<(Vec<String>, SecretString)>);

impl Passwords {
    /// Of the file that is named, else of the user's, if there is one.
    pub fn read(named: Option<&Path>) -> Result<Option<Passwords>, PasswordFileError> {
        let own = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".pgpass"));
        let Some(path) = named.map(Path::to_owned).or_else(own) else { return Ok(None) };
        let file = path.display().to_string();
        let mode = match path.metadata() {
            Ok(known) => known.mode() & 0o777,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(source) => return Err(PasswordFileError::Read { file, source }),
        };
        if mode & 0o077 != 0 {
            return Err(PasswordFileError::Exposed { file, mode });
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Passwords::of(&text))),
            Err(source) => Err(PasswordFileError::Read { file, source }),
        }
    }

    fn of(text: &str) -> Passwords {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Passwords(lines.filter_map(line).collect())
    }

    /// The first that fits. A socket is also called localhost.
    pub fn find(
        &self,
        hosts: &[&str],
        port: u16,
        database: &str,
        user: &str,
    ) -> Option<&SecretString> {
        let port = port.to_string();
        let fits = |fields: &Vec<String>| {
            let is = |at: usize, value: &str| fields[at] == "*" || fields[at] == value;
            hosts.iter().any(|host| is(0, host)) && is(1, &port) && is(2, database) && is(3, user)
        };
        self.0.iter().find(|(fields, _)| fits(fields)).map(|(_, password)| password)
    }
}

/// Four fields and the password; a backslash stands before a colon or a backslash that is meant.
fn line(text: &str) -> Option<(Vec<String>, SecretString)> {
    let (mut fields, mut field, mut letters) = (Vec::new(), String::new(), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => field.extend(letters.next()),
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    (fields.len() == 4 && !field.is_empty()).then(|| (fields, SecretString::from(field)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn the_first_line_that_fits_counts() {
        let passwords = Passwords::of(
            "# hosts\none:5432:crm:rowbell:first\nhalf:a\n*:*:*:rowbell:a\\:b\\\\c\n",
        );
        let of = |host: &str, user: &str| {
            let found = passwords.find(&[host], 5432, "crm", user);
            found.map(|password| password.expose_secret().to_owned())
        };
        assert_eq!(of("one", "rowbell").as_deref(), Some("first"));
        assert_eq!(of("two", "rowbell").as_deref(), Some("a:b\\c"));
        assert_eq!(of("one", "else"), None);
    }
}
