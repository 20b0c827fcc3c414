//! What `database.url`, a service of libpq and its variables say together. rowbell's driver does not know all of libpq's
//! options: those about certificates, `passfile` and `service` are taken out here, and the rest is left to the driver.
//!
//! As with libpq the URL comes first, then the service, then the variables.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::config::secret::secret_path;
use crate::config::server_address::service_file::{self, ServiceError};

/// Where the server is, and how it and we prove who we are.
#[derive(Clone, Default)]
pub struct ServerAddress {
    /// For the driver. May hold a password.
    pub text: String,
    pub proof: ServerProof,
    /// The certificate and the key by which we prove who we are.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// A file of passwords that was named.
    pub passfile: Option<PathBuf>,
}

/// What the server has to prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerProof {
    #[default]
    None,
    /// That it has its host's name, by an authority that the system trusts.
    System,
    /// The same, by an authority of this file.
    Authority(PathBuf),
}

/// Why a URL cannot be used. Never holds what an option holds, but for the names of files and services.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "sslmode=verify-ca would take another host of the same authority for ours; write sslmode=verify-full"
    )]
    NoName,
    #[error("sslcert and sslkey belong together: a certificate, and its key")]
    HalfCertificate,
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Options of libpq that have a variable, too.
const VARIABLES: [(&str, &str); 8] = [
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("servicefile", "PGSERVICEFILE"),
    ("channel_binding", "PGCHANNELBINDING"),
];

impl ServerAddress {
    /// By the variables of this process.
    pub fn of(url: &str) -> Result<ServerAddress, AddressError> {
        ServerAddress::with(url, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn with(
        url: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<ServerAddress, AddressError> {
        let mut options = Options::of(url);
        let of_environment = |option: &str| {
            variable(VARIABLES.iter().find(|(known, _)| *known == option).map(|(_, name)| *name)?)
        };
        let file = options.take("servicefile").or_else(|| of_environment("servicefile"));
        if let Some(service) = options.take("service").or_else(|| of_environment("service")) {
            for (key, value) in service_file::read(&service, file.as_deref().map(Path::new))? {
                options.add(key, value);
            }
        }
        for (option, _) in VARIABLES {
            if let Some(value) = of_environment(option) {
                options.add(option.to_owned(), value);
            }
        }
        options.take("service");
        options.take("servicefile");
        let path = |text: String| secret_path(Path::new(&text));
        let certificate = match (options.take("sslcert"), options.take("sslkey")) {
            (Some(certificate), Some(key)) => Some((path(certificate), path(key))),
            (None, None) => None,
            _ => return Err(AddressError::HalfCertificate),
        };
        let passfile = options.take("passfile").map(path);
        let mut proof = match options.take("sslrootcert") {
            Some(file) if file == "system" => ServerProof::System,
            Some(file) => ServerProof::Authority(path(file)),
            None => ServerProof::None,
        };
        match options.get("sslmode") {
            Some("verify-ca") => return Err(AddressError::NoName),
            Some("verify-full") if proof == ServerProof::None => proof = ServerProof::System,
            _ => {}
        }
        let is_plain = options.get("sslmode") == Some("disable");
        if is_plain {
            // Files that the environment names for all connections are for others.
            proof = ServerProof::None;
        } else if proof != ServerProof::None || certificate.is_some() {
            options.take("sslmode");
            options.add("sslmode".to_owned(), "require".to_owned());
        }
        Ok(ServerAddress { text: options.text(), proof, certificate, passfile })
    }
}

/// Whether a password stands in the URL itself. One that cannot be read may hold one.
pub fn holds_password(url: &str) -> bool {
    match tokio_postgres::Config::from_str(&Options::of(url).without_ours().text()) {
        Ok(said) => said.get_password().is_some(),
        Err(_) => true,
    }
}

/// A URL, or words such as `host=db user=rowbell`, in pieces.
struct Options {
    /// What stands before the options of a URL; None: words.
    base: Option<String>,
    options: Vec<(String, String)>,
}

impl Options {
    fn of(url: &str) -> Options {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        match url.split_once("://") {
            Some((scheme, _)) if !scheme.contains(['=', ' ']) => {
                let (base, query) = url.split_once('?').unwrap_or((url, ""));
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                let options = pairs.map(|(key, value)| (decoded(key), decoded(value))).collect();
                Options { base: Some(base.to_owned()), options }
            }
            _ => Options { base: None, options: words(url) },
        }
    }

    fn get(&self, option: &str) -> Option<&str> {
        self.options.iter().rfind(|(key, _)| key == option).map(|(_, value)| value.as_str())
    }

    fn take(&mut self, option: &str) -> Option<String> {
        let found = self.get(option).map(str::to_owned);
        self.options.retain(|(key, _)| key != option);
        found
    }

    /// Unless it is said already. Hosts and ports come from one place.
    fn add(&mut self, option: String, value: String) {
        let is_said = match tokio_postgres::Config::from_str(&self.without_ours().text()) {
            Ok(said) => match option.as_str() {
                "user" => said.get_user().is_some(),
                "password" => said.get_password().is_some(),
                "dbname" => said.get_dbname().is_some(),
                "host" => !said.get_hosts().is_empty(),
                "hostaddr" => !said.get_hostaddrs().is_empty(),
                "port" => !said.get_ports().is_empty(),
                option => self.get(option).is_some(),
            },
            // Whoever connects says what is wrong with it.
            Err(_) => self.get(&option).is_some(),
        };
        if !is_said {
            self.options.push((option, value));
        }
    }

    fn without_ours(&self) -> Options {
        let ours = |key: &str| VARIABLES.iter().any(|(option, _)| *option == key);
        let rest = self.options.iter().filter(|(key, _)| !ours(key)).cloned().collect();
        Options { base: self.base.clone(), options: rest }
    }

    fn text(&self) -> String {
        let options = self.options.iter();
        match &self.base {
            None => options
                .map(|(key, value)| {
                    format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
                })
                .collect::<Vec<_>>()
                .join(" "),
            Some(base) => {
                let options = options.map(|(key, value)| {
                    format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
                });
                match options.collect::<Vec<_>>().join("&") {
                    none if none.is_empty() => base.clone(),
                    options => format!("{base}?{options}"),
                }
            }
        }
    }
}

/// `key=value` with quotes and backslashes, as libpq reads them.
fn words(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text.trim_start());
    while let Some((key, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let (mut read, mut is_quoted) = (String::new(), false);
        let mut letters = value.char_indices();
        let end = loop {
            match letters.next() {
                None => break value.len(),
                Some((0, '\'')) => is_quoted = true,
                Some((_, '\\')) => read.extend(letters.next().map(|(_, letter)| letter)),
                Some((at, '\'')) if is_quoted => break at + 1,
                Some((at, letter)) if !is_quoted && letter.is_whitespace() => break at,
                Some((_, letter)) => read.push(letter),
            }
        };
        found.push((key.trim().to_owned(), read));
        rest = value[end..].trim_start();
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(url: &str, variables: &[(&str, &str)]) -> Result<ServerAddress, String> {
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        ServerAddress::with(url, variable).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_driver_does_not_know_is_taken_out() {
        let at = "postgresql://rowbell:p%40ss@db.example/crm";
        let system = of(&format!("{at}?sslmode=verify-full"), &[]).unwrap();
        assert_eq!(system.proof, ServerProof::System);
        assert_eq!(system.text, format!("{at}?sslmode=require"));
        let named =
            of("host=db user='a b' sslmode=verify-full sslrootcert=/x/ca.pem", &[]).unwrap();
        assert_eq!(named.proof, ServerProof::Authority(PathBuf::from("/x/ca.pem")));
        assert_eq!(named.text, "host='db' user='a b' sslmode='require'");
        let ours = of(&format!("{at}?sslcert=/x/c.pem&sslkey=%2Fx%2Fk.pem"), &[]).unwrap();
        assert_eq!(ours.certificate, Some((PathBuf::from("/x/c.pem"), PathBuf::from("/x/k.pem"))));
        assert_eq!(ours.text, format!("{at}?sslmode=require"));
        assert_eq!(of(at, &[]).unwrap().text, at, "nothing is lost");
        let trusted = of(&format!("{at}?sslrootcert=system"), &[]).unwrap();
        assert_eq!(trusted.proof, ServerProof::System);
    }

    #[test]
    fn what_the_url_does_not_say_comes_from_the_variables() {
        let variables = [("PGSSLMODE", "verify-full"), ("PGPASSFILE", "/x/pass")];
        let address = of("postgresql://rowbell@db/crm", &variables).unwrap();
        assert_eq!(address.proof, ServerProof::System);
        assert_eq!(address.passfile, Some(PathBuf::from("/x/pass")));
        let trusted = of("postgresql://rowbell@db/crm", &[("PGSSLROOTCERT", "system")]).unwrap();
        assert_eq!(trusted.proof, ServerProof::System);
        let plain = "postgresql://rowbell@db/crm?sslmode=disable";
        let plain_said = of(plain, &[("PGSSLROOTCERT", "/x/ca.pem")]).unwrap();
        assert_eq!((plain_said.proof, plain_said.text.as_str()), (ServerProof::None, plain));
        let said = of("postgresql://rowbell@db/crm?sslmode=disable", &variables).unwrap();
        assert_eq!(
            (said.proof, said.text.ends_with("?sslmode=disable")),
            (ServerProof::None, true)
        );
    }

    #[test]
    fn what_would_be_less_safe_than_it_looks_is_refused() {
        assert!(of("host=db sslmode=verify-ca", &[]).err().unwrap().contains("verify-full"));
        assert!(of("host=db sslcert=/x", &[]).err().unwrap().contains("belong together"));
    }
}
