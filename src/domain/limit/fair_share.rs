//! Whose turn it is where several watches want the same channel: fair queueing by virtual time. Each
//! message of a watch costs one divided by the watch's share; the watch that has had least is next. Who
//! wants nothing saves nothing up: when it comes back it begins where the others are. Those who wait are
//! always at that point or beyond it, because the one that has had least is served first.

use std::collections::HashMap;

/// What each watch of a channel has had.
#[derive(Debug, Default)]
pub struct FairShares {
    had: HashMap<String, f64>,
    /// Where those are that were served last.
    level: f64,
}

impl FairShares {
    /// Where a watch begins now.
    pub fn start(&self, watch: &str) -> f64 {
        self.had.get(watch).copied().unwrap_or(0.0).max(self.level)
    }

    /// What was served together: watches, their messages, and what one message costs.
    pub fn served<'a>(&mut self, served: impl IntoIterator<Item = (&'a str, usize, f64)>) {
        let mut level = self.level;
        for (watch, messages, cost) in served.into_iter().filter(|(_, messages, _)| *messages > 0) {
            let start = self.start(watch);
            let last = start + (messages - 1) as f64 * cost;
            level = level.max(last);
            self.had.insert(watch.to_owned(), last + cost);
        }
        self.level = level;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves `count` messages one by one from those that want something, as the query of compose does.
    fn serve(
        shares: &mut FairShares,
        wants: &[(&'static str, f64)],
        count: usize,
    ) -> Vec<&'static str> {
        let mut order = Vec::new();
        for _ in 0..count {
            let next = wants.iter().min_by(|a, b| shares.start(a.0).total_cmp(&shares.start(b.0)));
            let Some((watch, share)) = next else { break };
            shares.served([(*watch, 1, 1.0 / share)]);
            order.push(*watch);
        }
        order
    }

    #[test]
    fn everybody_gets_the_same_or_as_their_share_says() {
        let mut shares = FairShares::default();
        let order = serve(&mut shares, &[("a", 1.0), ("b", 1.0), ("c", 1.0)], 9);
        assert_eq!(order, ["a", "b", "c", "a", "b", "c", "a", "b", "c"]);
        let mut shares = FairShares::default();
        let order = serve(&mut shares, &[("a", 3.0), ("b", 1.0)], 400);
        assert_eq!(order.iter().filter(|watch| **watch == "a").count(), 300);
    }

    #[test]
    fn who_comes_late_has_saved_nothing_up() {
        let mut shares = FairShares::default();
        assert_eq!(serve(&mut shares, &[("a", 1.0)], 1_000).len(), 1_000);
        let order = serve(&mut shares, &[("a", 1.0), ("b", 1.0)], 100);
        let late = order.iter().filter(|watch| **watch == "b").count();
        assert!((50..=51).contains(&late), "{late} of 100");
    }
}
