//! Message ids: opaque for the client, a number for us. They contain `+`, `/` and `=` as real ones
//! do, so that a client which does not escape them in a query is found out.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEAD: &str = "wamid.HBgL";
/// Eleven characters of six bits hold one number of 64.
const DIGITS: usize = 11;
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// Turns the number of a message into its id and back.
pub struct Ids {
    key: u64,
}

impl Ids {
    /// Two keys never give the same ids, so a restarted sandbox does not repeat itself.
    pub fn new(key: u64) -> Ids {
        Ids { key: mix(key) }
    }

    pub fn id(&self, number: u64) -> String {
        let mixed = mix(number ^ self.key);
        let mut id = String::with_capacity(HEAD.len() + 2 * DIGITS + 1);
        id.push_str(HEAD);
        push_digits(&mut id, mixed);
        push_digits(&mut id, mix(mixed ^ self.key));
        id.push('=');
        id
    }

    /// The number of an id that this sandbox gave out.
    pub fn number(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(HEAD)?;
        let mixed = read_digits(digits.get(..DIGITS)?)?;
        let number = unmix(mixed) ^ self.key;
        (self.id(number) == id).then_some(number)
    }
}

fn push_digits(id: &mut String, number: u64) {
    for digit in (0..DIGITS).rev() {
        let six_bits = (number >> (6 * digit)) & 63;
        id.push(char::from(ALPHABET[six_bits as usize]));
    }
}

fn read_digits(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |number, byte| {
        let digit = ALPHABET.iter().position(|body| *body == byte)?;
        Some((number << 6) | digit as u64)
    })
}

/// One-to-one, so that no two messages share an id.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 32)).wrapping_mul(MIX);
    number ^ (number >> 32)
}

fn unmix(number: u64) -> u64 {
    let number = (number ^ (number >> 32)).wrapping_mul(inverse(MIX));
    number ^ (number >> 32)
}

/// Newton's iteration: each step doubles the bits that are right.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |guess, _| guess.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(guess))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_leads_back_to_its_number_and_only_there() {
        let ids = Ids::new(7);
        for number in [0, 1, 2, 999_999, u64::MAX] {
            assert_eq!(ids.number(&ids.id(number)), Some(number));
        }
        assert_eq!(ids.number("wamid.HBgLnonsense"), None);
        assert_eq!(Ids::new(8).number(&ids.id(1)), None);
    }
}
