//! What is shown of a person before somebody has asked to see more.

use crate::domain::text::short_text::masked;

/// Letters of a part of a name that is masked where it stands in a text.
const SHORTEST_PART: usize = 3;

/// The name and the phone of one person, and whether they are shown.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    pub is_open: bool,
    name: String,
    phone: String,
}

impl Mask {
    pub fn new(is_open: bool, name: Option<&str>, phone: Option<&str>) -> Mask {
        let text = |text: Option<&str>| text.unwrap_or_default().trim().to_owned();
        Mask { is_open, name: text(name), phone: text(phone) }
    }

    pub fn name(&self) -> String {
        if self.is_open { self.name.clone() } else { initial(&self.name) }
    }

    pub fn phone(&self) -> String {
        match self.phone.as_str() {
            "" => String::new(),
            phone if self.is_open => format!("+{phone}"),
            phone => masked(phone),
        }
    }

    /// A text without the name and the phone.
    pub fn text(&self, text: &str) -> String {
        if self.is_open {
            return text.to_owned();
        }
        let mut hidden = text.to_owned();
        if !self.phone.is_empty() {
            hidden = hidden.replace(&self.phone, &masked(&self.phone));
        }
        let parts = std::iter::once(self.name.as_str()).chain(self.name.split_whitespace());
        for part in parts.filter(|part| part.chars().count() >= SHORTEST_PART) {
            hidden = hidden.replace(part, &initial(part));
        }
        hidden
    }
}

fn initial(name: &str) -> String {
    name.chars().next().map_or(String::new(), |first| format!("{first}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_phone_are_masked_wherever_they_stand() {
        let shut = Mask::new(false, Some("María José Ortega"), Some("34612345678"));
        assert_eq!(shut.name(), "M…");
        assert_eq!(shut.phone(), "…5678");
        assert_eq!(shut.text("Hola, María José Ortega! (34612345678)"), "Hola, M…! (…5678)");
        assert_eq!(shut.text("Hola, María, a Ortega"), "Hola, M…, a O…");
        let open = Mask { is_open: true, ..shut };
        assert_eq!(open.text("Hola, María"), "Hola, María");
        assert_eq!(open.phone(), "+34612345678");
        let nobody = Mask::new(false, None, None);
        assert_eq!((nobody.name().as_str(), nobody.text("Hello").as_str()), ("", "Hello"));
    }
}
