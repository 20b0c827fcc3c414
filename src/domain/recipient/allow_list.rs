//! The only people who may be written to, where a site is not the real one.

use std::collections::BTreeSet;

use crate::domain::recipient::email::Email;
use crate::domain::recipient::phone::Phone;
use crate::domain::recipient::phone_forms::key;
use crate::domain::recipient::recipient::Recipient;

/// Phones and mail addresses. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    phones: BTreeSet<String>,
    emails: BTreeSet<String>,
}

impl AllowList {
    /// Reads phones and mail addresses as people write them; of those that are neither, their places and why.
    pub fn parse(entries: &[String], region: &str) -> Result<AllowList, Vec<(usize, String)>> {
        let region = (!region.is_empty()).then_some(region);
        let (mut list, mut wrong) = (AllowList::default(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            if entry.contains('@') {
                match Email::parse(entry) {
                    Ok(email) => drop(list.emails.insert(email.as_str().to_lowercase())),
                    Err(bad) => wrong.push((place, bad.to_string())),
                }
            } else {
                match Phone::parse(entry, region) {
                    Ok(phone) => drop(list.phones.insert(key(phone.as_str()))),
                    Err(bad) => wrong.push((place, bad.to_string())),
                }
            }
        }
        if wrong.is_empty() { Ok(list) } else { Err(wrong) }
    }

    /// Whether every address of a recipient is listed: which of them a channel uses is its own affair.
    pub fn allows(&self, recipient: &Recipient, by_phone: bool, by_email: bool) -> bool {
        let phone = recipient.phone().filter(|_| by_phone);
        let email = recipient.email().filter(|_| by_email);
        phone.is_none_or(|phone| self.phones.contains(&key(phone)))
            && email.is_none_or(|email| self.emails.contains(&email.to_lowercase()))
            && (phone.is_some() || email.is_some())
    }

    /// How many phones and mail addresses stand in it.
    pub fn len(&self) -> usize {
        self.phones.len() + self.emails.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::borrow::Cow;

    fn list(entries: &[&str]) -> Result<AllowList, Vec<(usize, String)>> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        AllowList::parse(&entries, "US")
    }

    fn someone(phone: Option<&str>, email: Option<&str>) -> Recipient {
        Recipient {
            name: "Ana".to_owned(),
            phone: phone.map(|phone| Phone::parse(phone, None).unwrap()),
            email: email.map(|email| Email::parse(email).unwrap()),
            locale: "en".to_owned(),
            time_zone: "UTC".to_owned(),
            time_zone_source: Cow::Borrowed(""),
        }
    }

    #[test]
    fn a_person_is_known_by_every_form_of_phone_and_address() {
        let list = list(&["(202) 555-0143", "+52 1 55 1234 5678", "Ops@Example.org"]).unwrap();
        assert_eq!(list.len(), 3);
        assert!(list.allows(&someone(Some("+1 202 555 0143"), None), true, false));
        assert!(list.allows(&someone(Some("+52 55 1234 5678"), None), true, false));
        assert!(list.allows(&someone(None, Some("ops@example.org")), false, true));
        assert!(!list.allows(&someone(Some("+1 202 555 0144"), None), true, false));
        // A gateway that may use either reaches nobody by the one that is not listed.
        let half = someone(Some("+1 202 555 0143"), Some("customer@example.org"));
        assert!(list.allows(&half, true, false) && !list.allows(&half, true, true));
        assert!(!list.allows(&someone(Some("+1 202 555 0143"), None), false, true), "no address");
    }

    #[test]
    fn an_empty_list_allows_nobody_and_mistakes_are_told_by_their_place() {
        assert!(!AllowList::default().allows(&someone(Some("+1 202 555 0143"), None), true, true));
        let wrong = list(&["(202) 555-0143", "12", "@example.org"]).err().unwrap();
        assert_eq!(wrong.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2]);
    }
}
