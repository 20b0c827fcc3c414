//! What is wrong with the URL of a database. libpq has more options than rowbell's driver: each is named, with the way
//! that there is instead. What an option holds is not told: there may be a password in it.

use std::error::Error as _;
use std::str::FromStr as _;

use crate::config::server_address::server_address::ServerAddress;
use crate::error_chain::chain;
use crate::finding::hint;

const EXPECTED: &str = "expected a PostgreSQL URL such as \"postgresql://rowbell@host/database\"";

const NO_GSSAPI: &str = "GSSAPI is not supported; leave it out";
const NO_LISTS: &str = "revoked certificates are not looked up; leave it out";
const NO_SCHEMA: &str = "set it for the role (alter role … set search_path = …), or leave it out";
const SET_ITSELF: &str = "rowbell sets it itself; leave it out";

/// Options of libpq and of other clients, and what to do instead.
const OTHERS: [(&str, &str); 24] = [
    (
        "sslpassword",
        "write the key into a file without a passphrase, for the daemon alone (mode 0600)",
    ),
    ("sslcertmode", "leave sslcert out where no certificate is wanted"),
    ("sslcrl", NO_LISTS),
    ("sslcrldir", NO_LISTS),
    ("sslsni", SET_ITSELF),
    ("sslcompression", SET_ITSELF),
    ("ssl_min_protocol_version", "TLS 1.2 is the least in any case; leave it out"),
    ("ssl_max_protocol_version", "TLS 1.2 and 1.3 are spoken; leave it out"),
    ("ssl", "write sslmode=require"),
    ("gssencmode", NO_GSSAPI),
    ("gsslib", NO_GSSAPI),
    ("gssdelegation", NO_GSSAPI),
    ("krbsrvname", NO_GSSAPI),
    ("require_auth", "channel_binding=require accepts SCRAM over TLS only; else leave it out"),
    ("requirepeer", "leave it out"),
    ("client_encoding", SET_ITSELF),
    ("fallback_application_name", "write application_name"),
    ("keepalives_count", "write keepalives_retries"),
    ("replication", "rowbell does not replicate; leave it out"),
    ("min_protocol_version", "leave it out"),
    ("max_protocol_version", "leave it out"),
    ("pgbouncer", "rowbell needs sessions of its own (pool_mode = session); leave it out"),
    ("schema", NO_SCHEMA),
    ("currentSchema", NO_SCHEMA),
];

/// What the driver knows, and what it takes where that is one of several words.
const KNOWN: [(&str, &str); 19] = [
    ("application_name", ""),
    ("channel_binding", "disable, prefer or require"),
    ("connect_timeout", "seconds; database.connect_timeout is what counts"),
    ("dbname", ""),
    ("host", "a name, or a folder such as %2Frun%2Fpostgresql"),
    ("hostaddr", "an IP address"),
    ("keepalives", "0 or 1"),
    ("keepalives_idle", "seconds"),
    ("keepalives_interval", "seconds"),
    ("keepalives_retries", "a number"),
    ("load_balance_hosts", "disable or random"),
    ("options", ""),
    ("password", ""),
    ("port", "a number from 1 to 65535"),
    (
        "sslmode",
        "disable, prefer, require or verify-full; database.ca_file has certificates checked, too",
    ),
    ("sslnegotiation", "postgres or direct"),
    ("target_session_attrs", "any, read-write (a primary) or read-only (a standby)"),
    ("tcp_user_timeout", "seconds"),
    ("user", ""),
];

/// None: it is fine.
pub fn wrong_url(url: &str) -> Option<String> {
    let address = match ServerAddress::of(url) {
        Ok(address) => address,
        Err(error) => return Some(chain(&error)),
    };
    let url = address.text.as_str();
    let error = match tokio_postgres::Config::from_str(url) {
        Ok(url) if url.get_hosts().is_empty() && url.get_hostaddrs().is_empty() => {
            return Some(format!(
                "{EXPECTED}; this one names no host, such as host.example or ?host=/run/postgresql"
            ));
        }
        Ok(_) => return None,
        Err(error) => error.source().map(ToString::to_string).unwrap_or_default(),
    };
    let is_known = |option: &&str| KNOWN.iter().any(|(known, _)| known == option);
    if let Some(option) = options(url).into_iter().find(|option| !is_known(option)) {
        return Some(match OTHERS.iter().find(|(other, _)| *other == option) {
            Some((_, instead)) => format!("{option} is not known here: {instead}"),
            None => {
                let known = KNOWN.map(|(known, _)| known);
                format!("an option of the URL is not known here{}", hint(option, &known))
            }
        });
    }
    let option =
        error.strip_prefix("invalid value for option `").and_then(|rest| rest.strip_suffix('`'));
    let known = KNOWN.iter().find(|(known, _)| Some(*known) == option);
    Some(match known {
        Some((option, words)) if !words.is_empty() => format!("expected {option}={words}"),
        Some((option, _)) => format!("{EXPECTED}; its {option} does not fit"),
        None => EXPECTED.to_owned(),
    })
}

/// The names of the options of a URL, or of words such as `host=db user=rowbell`.
fn options(url: &str) -> Vec<&str> {
    match url.split_once("://") {
        Some((_, rest)) => {
            let options = rest.split_once('?').map(|(_, options)| options).unwrap_or_default();
            options.split('&').filter_map(|option| Some(option.split_once('=')?.0)).collect()
        }
        None => {
            url.split_whitespace().filter_map(|option| Some(option.split_once('=')?.0)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(options: &str) -> String {
        let url = format!("postgresql://rowbell:secret@db.example/crm?{options}");
        wrong_url(&url).unwrap_or_else(|| "fine".to_owned())
    }

    #[test]
    fn what_the_driver_knows_is_fine() {
        let urls = [
            "sslmode=require&channel_binding=require",
            "target_session_attrs=read-write&load_balance_hosts=random",
            "options=-c%20row_security%3Don&keepalives_idle=30",
        ];
        assert_eq!(urls.map(said), ["fine", "fine", "fine"]);
        assert_eq!(wrong_url("host=/run/postgresql user=rowbell dbname=crm"), None);
    }

    /// connector-x #752, stalwart #2380, deadpool #277.
    #[test]
    fn each_option_of_libpq_is_named_with_the_way_that_there_is() {
        for (option, instead) in OTHERS {
            let said = said(&format!("sslmode=require&{option}=x"));
            assert_eq!(said, format!("{option} is not known here: {instead}"));
        }
        let said = wrong_url("host=db user=rowbell sslpassword=/x").unwrap_or_default();
        assert!(said.starts_with("sslpassword is not known here: write the key"), "{said}");
    }

    #[test]
    fn an_option_that_is_known_says_what_it_takes() {
        assert_eq!(
            said("target_session_attrs=primary"),
            "expected target_session_attrs=any, read-write (a primary) or read-only (a standby)"
        );
        assert_eq!(
            said("channel_binding=maybe"),
            "expected channel_binding=disable, prefer or require"
        );
        assert_eq!(
            said("sslmode=verify-host"),
            "expected sslmode=disable, prefer, require or verify-full; database.ca_file has certificates checked, too"
        );
        assert_eq!(
            said("aplication_name=x"),
            "an option of the URL is not known here; did you mean \"application_name\"?"
        );
    }

    #[test]
    fn what_an_option_holds_is_not_told() {
        let all = ["sslmode=hush", "password=hush&port=x", "pasword=hush", "sslcert=hush"];
        assert!(
            all.map(said).iter().all(|said| !said.contains("hush") && !said.contains("secret"))
        );
    }
}
