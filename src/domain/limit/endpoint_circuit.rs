//! When an endpoint of the application is left alone, and for how long.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::limit::circuit::CircuitPauses;

/// Attempts that fail in a row before an endpoint rests.
const TRIP: u32 = 5;

const PAUSES: CircuitPauses =
    CircuitPauses { first: Duration::from_secs(10), longest: Duration::from_secs(1_800) };

/// How an endpoint stands; shared by all daemons.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EndpointCircuit {
    /// Attempts that failed since the last one that did not.
    pub failed_in_a_row: u32,
    pub rest: Option<EndpointRest>,
    /// It answered 410: nothing is posted until a person says so.
    pub is_gone: bool,
}

/// An endpoint rests, but for one delivery at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndpointRest {
    pub since: Timestamp,
    pub next_try_at: Timestamp,
    /// How long the pause before the next try is.
    pub pause: Duration,
}

/// How many deliveries may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointAllowance {
    All,
    /// One, to see whether the endpoint works again.
    Probe,
    None,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryResult {
    Taken,
    /// It was not taken. The endpoint may say for how long it wants to be left alone.
    Failed {
        why: String,
        retry_after: Option<Duration>,
    },
    /// 410: it does not want to be told anything any more.
    Gone,
}

impl EndpointCircuit {
    pub fn allowance(&self, now: Timestamp) -> EndpointAllowance {
        match self.rest {
            _ if self.is_gone => EndpointAllowance::None,
            None => EndpointAllowance::All,
            Some(rest) if rest.next_try_at <= now => EndpointAllowance::Probe,
            Some(_) => EndpointAllowance::None,
        }
    }

    /// One delivery is being tried: until then nobody else tries one.
    pub fn probing_until(self, until: Timestamp) -> EndpointCircuit {
        let rest = self.rest.map(|rest| EndpointRest { next_try_at: until, ..rest });
        EndpointCircuit { rest, ..self }
    }

    /// After some attempts. One that was taken proves that the endpoint works; what it asks for by `Retry-After` holds all the
    /// same.
    pub fn after<'a>(
        self,
        results: impl IntoIterator<Item = &'a DeliveryResult>,
        now: Timestamp,
    ) -> EndpointCircuit {
        let (mut taken, mut failed, mut asked, mut is_gone) = (false, 0_u32, None, self.is_gone);
        for result in results {
            match result {
                DeliveryResult::Taken => taken = true,
                DeliveryResult::Failed { retry_after, .. } => {
                    failed += 1;
                    asked = asked.max(*retry_after);
                }
                DeliveryResult::Gone => {
                    failed += 1;
                    is_gone = true;
                }
            }
        }
        let before = if taken { EndpointCircuit::default() } else { self };
        let failed_in_a_row = match taken {
            true => 0,
            false => before.failed_in_a_row.saturating_add(failed),
        };
        let is_at_fault = !taken && failed > 0 && failed_in_a_row >= TRIP;
        let rest = match (is_at_fault, asked) {
            (false, None) => before.rest,
            (_, asked) => {
                let pause = PAUSES.after(before.rest.map(|rest| rest.pause));
                let wait = asked.map_or(pause, |asked| match is_at_fault {
                    true => asked.max(pause),
                    false => asked,
                });
                let since = before.rest.map_or(now, |rest| rest.since);
                Some(EndpointRest { since, next_try_at: now + wait, pause })
            }
        };
        EndpointCircuit { failed_in_a_row, rest, is_gone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap_or_default()
    }

    fn failed(retry_after: Option<u64>) -> DeliveryResult {
        let retry_after = retry_after.map(Duration::from_secs);
        DeliveryResult::Failed { why: "HTTP 500".to_owned(), retry_after }
    }

    #[test]
    fn an_endpoint_rests_after_failures_in_a_row_and_longer_each_time() {
        let mut circuit = EndpointCircuit::default();
        for _ in 0..4 {
            circuit = circuit.after(&[failed(None)], at(0));
            assert_eq!(circuit.allowance(at(0)), EndpointAllowance::All);
        }
        circuit = circuit.after(&[failed(None)], at(0));
        assert_eq!(circuit.allowance(at(9)), EndpointAllowance::None);
        assert_eq!(circuit.allowance(at(10)), EndpointAllowance::Probe);
        let probing = circuit.probing_until(at(40));
        assert_eq!(probing.allowance(at(39)), EndpointAllowance::None, "another daemon");
        circuit = probing.after(&[failed(None)], at(12));
        assert_eq!(circuit.rest.map(|rest| rest.next_try_at), Some(at(32)));
        assert_eq!(circuit.rest.map(|rest| rest.since), Some(at(0)));
        circuit = circuit.after(&[DeliveryResult::Taken], at(32));
        assert_eq!(circuit, EndpointCircuit::default());
    }

    /// One delivery that always fails is no endpoint that fails.
    #[test]
    fn what_fails_among_others_that_are_taken_stops_nobody() {
        let mut circuit = EndpointCircuit::default();
        for _ in 0..20 {
            circuit = circuit.after(&[failed(None), DeliveryResult::Taken], at(0));
        }
        assert_eq!(circuit, EndpointCircuit::default());
    }

    #[test]
    fn what_an_endpoint_asks_for_holds_at_once() {
        let circuit =
            EndpointCircuit::default().after(&[DeliveryResult::Taken, failed(Some(90))], at(0));
        assert_eq!(circuit.allowance(at(89)), EndpointAllowance::None);
        assert_eq!(circuit.allowance(at(90)), EndpointAllowance::Probe);
        assert_eq!(circuit.failed_in_a_row, 0);
    }

    #[test]
    fn one_that_is_gone_is_not_asked_again() {
        let circuit = EndpointCircuit::default().after(&[DeliveryResult::Gone], at(0));
        assert_eq!(circuit.allowance(at(1_000_000)), EndpointAllowance::None);
    }
}
