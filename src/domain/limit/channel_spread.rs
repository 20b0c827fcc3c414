//! Which daemon sends on which channel: spread evenly, with as few channels as possible changing hands. Whoever works
//! it out from the same facts comes to the same result, so that daemons need not agree on it.

use std::collections::BTreeMap;

/// A daemon that is alive, and the channels of its configuration.
#[derive(Clone, Debug)]
pub struct LiveDaemon {
    pub instance: String,
    pub name: String,
    pub channels: Vec<String>,
}

/// A channel, who sends on it now, and to whom a person gave it.
#[derive(Clone, Debug)]
pub struct ChannelHolder {
    pub channel: String,
    pub held_by: Option<String>,
    pub given_to: Option<String>,
}

/// Who is to send on each channel, by instance. A channel that no live daemon has in its configuration is absent.
///
/// A channel stays where it is, unless a person gave it to another daemon, or its daemon has two more than another one
/// that could send on it. What a person gave away is not moved back while that daemon lives.
pub fn spread<'a>(
    daemons: &'a [LiveDaemon],
    channels: &'a [ChannelHolder],
) -> BTreeMap<&'a str, &'a str> {
    let mut plan = Plan { daemons, of: BTreeMap::new() };
    let mut movable = Vec::new();
    for ChannelHolder { channel, held_by, given_to } in channels {
        if let Some(daemon) = plan.sender(channel, given_to.as_deref()) {
            plan.of.insert(channel, daemon);
        } else {
            movable.push(channel.as_str());
            if let Some(daemon) = plan.sender(channel, held_by.as_deref()) {
                plan.of.insert(channel, daemon);
            }
        }
    }
    for channel in &movable {
        if let (false, Some(daemon)) = (plan.of.contains_key(channel), plan.idlest(channel)) {
            plan.of.insert(channel, daemon);
        }
    }
    while let Some((channel, daemon)) = plan.uneven(&movable) {
        plan.of.insert(channel, daemon);
    }
    plan.of
}

struct Plan<'a> {
    daemons: &'a [LiveDaemon],
    of: BTreeMap<&'a str, &'a str>,
}

impl<'a> Plan<'a> {
    /// The daemon of that name, if it lives and knows the channel.
    fn sender(&self, channel: &str, instance: Option<&str>) -> Option<&'a str> {
        let mut able = self.able(channel);
        able.find(|daemon| Some(*daemon) == instance)
    }

    fn able(&self, channel: &str) -> impl Iterator<Item = &'a str> {
        let able = move |daemon: &&LiveDaemon| daemon.channels.iter().any(|known| known == channel);
        self.daemons.iter().filter(able).map(|daemon| daemon.instance.as_str())
    }

    fn count(&self, daemon: &str) -> usize {
        self.of.values().filter(|sender| **sender == daemon).count()
    }

    /// Of those that could send on a channel, the one with the fewest.
    fn idlest(&self, channel: &str) -> Option<&'a str> {
        self.able(channel).min_by_key(|daemon| (self.count(daemon), *daemon))
    }

    /// A channel whose daemon has two more than another one that could send on it.
    fn uneven(&self, movable: &[&'a str]) -> Option<(&'a str, &'a str)> {
        movable.iter().rev().find_map(|channel| {
            let (from, to) = (*self.of.get(channel)?, self.idlest(channel)?);
            (self.count(from) > self.count(to) + 1).then_some((*channel, to))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn daemon(instance: &str, channels: &[&str]) -> LiveDaemon {
        let channels = channels.iter().map(|channel| (*channel).to_owned()).collect();
        LiveDaemon { instance: instance.to_owned(), name: instance.to_owned(), channels }
    }

    fn channel(channel: &str, held_by: &str, given_to: &str) -> ChannelHolder {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        ChannelHolder {
            channel: channel.to_owned(),
            held_by: named(held_by),
            given_to: named(given_to),
        }
    }

    const ALL: [&str; 4] = ["a", "b", "c", "d"];

    fn is(daemons: &[LiveDaemon], channels: &[ChannelHolder], wanted: &str) {
        let plan = spread(daemons, channels);
        let said: Vec<String> = plan.iter().map(|(channel, to)| format!("{channel}{to}")).collect();
        assert_eq!(said.join(" "), wanted);
    }

    #[test]
    fn a_lone_daemon_sends_everything() {
        let free = ALL.map(|name| channel(name, "", ""));
        is(&[daemon("1", &ALL)], &free, "a1 b1 c1 d1");
        is(&[], &free, "");
    }

    #[test]
    fn one_that_joins_gets_its_share_and_what_stays_does_not_move() {
        let held = ALL.map(|name| channel(name, "1", ""));
        is(&[daemon("1", &ALL), daemon("2", &ALL)], &held, "a1 b1 c2 d2");
        is(&[daemon("1", &ALL), daemon("2", &ALL), daemon("3", &ALL)], &held, "a1 b1 c3 d2");
        is(&[daemon("2", &ALL)], &held, "a2 b2 c2 d2");
    }

    #[test]
    fn one_channel_is_not_tossed_about() {
        is(&[daemon("1", &ALL), daemon("2", &ALL)], &[channel("a", "2", "")], "a2");
    }

    #[test]
    fn each_sends_only_what_it_knows() {
        let held = ALL.map(|name| channel(name, "1", ""));
        is(&[daemon("1", &ALL), daemon("2", &["a"])], &held, "a2 b1 c1 d1");
        is(&[daemon("2", &["a"])], &held, "a2");
    }

    #[test]
    fn what_a_person_gave_stays_there_and_goes_on_when_that_daemon_is_gone() {
        let given = [channel("a", "1", "2"), channel("b", "2", "2"), channel("c", "2", "")];
        is(&[daemon("1", &ALL), daemon("2", &ALL)], &given, "a2 b2 c1");
        is(&[daemon("1", &ALL)], &given, "a1 b1 c1");
    }

    proptest! {
        #[test]
        fn it_is_even_and_settles_at_once(
            knows in proptest::collection::vec(1..16_u8, 1..5),
            held in proptest::collection::vec(0..6_usize, 4),
        ) {
            let daemons: Vec<_> = knows.iter().enumerate().map(|(i, known)| {
                let known: Vec<&str> =
                    ALL.iter().enumerate().filter(|(c, _)| known & 1 << c != 0).map(|(_, c)| *c).collect();
                daemon(&i.to_string(), &known)
            }).collect();
            let channels: Vec<_> = ALL.iter().zip(&held)
                .map(|(name, by)| channel(name, &by.to_string(), "")).collect();
            let plan = spread(&daemons, &channels);
            let count = |daemon: &str| plan.values().filter(|sender| **sender == daemon).count();
            for name in ALL {
                let able: Vec<&LiveDaemon> =
                    daemons.iter().filter(|daemon| daemon.channels.iter().any(|c| c == name)).collect();
                prop_assert_eq!(able.is_empty(), !plan.contains_key(name));
                for other in able {
                    prop_assert!(count(plan[name]) <= count(&other.instance) + 1);
                }
            }
            let settled: Vec<_> = ALL.iter()
                .map(|name| channel(name, plan.get(name).unwrap_or(&""), "")).collect();
            prop_assert_eq!(&plan, &spread(&daemons, &settled));
        }
    }
}
