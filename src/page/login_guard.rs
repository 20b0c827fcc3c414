//! What keeps tokens from being guessed.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::Timestamp;

use crate::http::server::PeerAddress;

/// Wrong tokens of one address within a minute before its logins wait until it is over. Whoever knows the token is let in
/// at the next minute; whoever guesses gets nowhere.
const WRONG_A_MINUTE: usize = 10;

/// Wrong tokens of all together before all logins wait: who guesses has many addresses.
const WRONG_OF_ALL: usize = 100;

/// Who tries to log in, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginOrigin(Option<IpAddr>);

impl LoginOrigin {
    /// The address of the connection. A reverse proxy on this machine says for whom it asks: the last address is the one
    /// that it saw itself.
    pub fn of(peer: PeerAddress, headers: &HeaderMap) -> LoginOrigin {
        let is_of_this_machine = peer.0.is_none_or(|peer| peer.is_loopback());
        let said = headers.get_all("x-forwarded-for").iter().next_back();
        let last =
            said.and_then(|said| said.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        let address: Option<IpAddr> = if is_of_this_machine { last.or(peer.0) } else { peer.0 };
        LoginOrigin(address.map(network))
    }
}

/// Who has one address of IPv6 has all of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

/// Counts the wrong tokens.
#[derive(Debug, Default)]
pub struct LoginGuard(Mutex<Vec<(Timestamp, LoginOrigin)>>);

impl LoginGuard {
    pub fn is_waiting(&self, now: Timestamp, from: LoginOrigin) -> bool {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|(at, _)| now.duration_since(*at).unsigned_abs() < Duration::from_secs(60));
        let of_one = wrong.iter().filter(|(_, by)| *by == from).count();
        of_one >= WRONG_A_MINUTE || wrong.len() >= WRONG_OF_ALL
    }

    pub fn add(&self, now: Timestamp, from: LoginOrigin) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((now, from));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn origin(peer: Option<&str>, said: &[&str]) -> LoginOrigin {
        let mut headers = HeaderMap::new();
        for said in said {
            headers.append("x-forwarded-for", said.parse().unwrap());
        }
        LoginOrigin::of(PeerAddress(peer.map(|peer| peer.parse().unwrap())), &headers)
    }

    /// What a stranger says of themselves is not believed, and a proxy on this machine is.
    #[test]
    fn an_address_is_the_one_that_was_seen() {
        let is = |origin: LoginOrigin, address: &str| origin.0 == Some(address.parse().unwrap());
        assert!(is(origin(Some("198.51.100.7"), &["203.0.113.9"]), "198.51.100.7"));
        assert!(is(origin(Some("127.0.0.1"), &["203.0.113.9"]), "203.0.113.9"));
        assert!(is(origin(Some("::1"), &["10.0.0.1, 203.0.113.9"]), "203.0.113.9"));
        assert!(is(origin(None, &["10.0.0.1", "203.0.113.9"]), "203.0.113.9"));
        assert!(is(origin(Some("127.0.0.1"), &["who knows"]), "127.0.0.1"));
        assert!(is(origin(Some("2001:db8::1:2:3:4"), &[]), "2001:db8::"));
        assert!(is(origin(Some("::ffff:203.0.113.9"), &[]), "203.0.113.9"));
        assert_eq!(origin(None, &[]), LoginOrigin(None));
    }

    #[test]
    fn who_guesses_from_many_addresses_gets_nowhere() {
        let (guard, now) = (LoginGuard::default(), Timestamp::UNIX_EPOCH);
        for i in 0..WRONG_OF_ALL {
            let from = origin(Some(&format!("198.51.100.{}", i % 50)), &[]);
            assert!(!guard.is_waiting(now, from), "{i}");
            guard.add(now, from);
        }
        assert!(guard.is_waiting(now, origin(Some("203.0.113.9"), &[])));
        assert!(
            !guard.is_waiting(now + Duration::from_secs(61), origin(Some("198.51.100.1"), &[]))
        );
    }
}
