//! Templates as Meta approved them, and the text they become.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The namespace of the default templates.
pub const NAMESPACE: &str = "3f1c0000_sandbox";
/// The body of `service_change` in English.
pub const BODY_EN: &str = "Hello, {{1}}! The status of your {{2}} has been updated. {{3}} \
                           If you need help — we are here.";
/// The body of `service_change` in Spanish.
pub const BODY_ES: &str = "Hola, {{1}}: El estado de su {{2}} ha cambiado. {{3}} \
                           Si necesita ayuda, aquí estamos.";

/// One template in one language.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplateOptions {
    pub name: String,
    pub namespace: String,
    pub language: String,
    /// `approved`, `pending`, `rejected`, `paused` or `disabled`; only the first can be sent.
    pub status: String,
    /// `UTILITY`, `MARKETING` or `AUTHENTICATION`.
    pub category: String,
    /// With variables `{{1}}`, `{{2}}` …
    pub body: String,
    pub header: Option<String>,
    pub footer: Option<String>,
    /// The address of the one URL button; without a variable it is fixed.
    pub button_url: Option<String>,
}

impl Default for TemplateOptions {
    fn default() -> TemplateOptions {
        TemplateOptions {
            name: "service_change".into(),
            namespace: NAMESPACE.into(),
            language: "en".into(),
            status: "approved".into(),
            category: "UTILITY".into(),
            body: BODY_EN.into(),
            header: None,
            footer: None,
            button_url: Some("https://example.com/account".into()),
        }
    }
}

impl TemplateOptions {
    /// `service_change` in English and Spanish.
    pub fn service_change() -> Vec<TemplateOptions> {
        let spanish = TemplateOptions {
            language: "es".into(),
            body: BODY_ES.into(),
            ..TemplateOptions::default()
        };
        vec![TemplateOptions::default(), spanish]
    }
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// Counted from 0.
    Variable(usize),
}

/// A template, taken apart so that checking and rendering cost little.
#[derive(Debug)]
pub struct ApprovedTemplate {
    pub options: TemplateOptions,
    pieces: Vec<Piece>,
    /// How many body parameters must come.
    pub variables: usize,
    pub header_variables: usize,
    pub button_variables: usize,
    fixed_chars: usize,
}

impl ApprovedTemplate {
    pub fn new(options: TemplateOptions) -> ApprovedTemplate {
        let pieces = pieces(&options.body);
        let fixed_chars = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.chars().count(),
                Piece::Variable(_) => 0,
            })
            .sum();
        ApprovedTemplate {
            variables: count(&pieces),
            header_variables: count_in(options.header.as_deref()),
            button_variables: count_in(options.button_url.as_deref()),
            pieces,
            fixed_chars,
            options,
        }
    }

    /// The characters of the whole body with these parameters.
    pub fn chars<T: AsRef<str>>(&self, parameters: &[T]) -> usize {
        let filled: usize = self
            .variables_in_order()
            .filter_map(|variable| parameters.get(variable))
            .map(|text| text.as_ref().chars().count())
            .sum();
        self.fixed_chars + filled
    }

    fn variables_in_order(&self) -> impl Iterator<Item = usize> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable(variable) => Some(*variable),
        })
    }

    /// The text as the customer reads it.
    pub fn render(&self, parameters: &[&str]) -> String {
        let mut rendered = String::new();
        for piece in &self.pieces {
            rendered.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Variable(variable) => parameters.get(*variable).copied().unwrap_or_default(),
            });
        }
        rendered
    }

    /// The row of `GET /templates`.
    pub fn listed(&self) -> Value {
        let options = &self.options;
        json!({
            "name": options.name,
            "namespace": options.namespace,
            "language": options.language,
            "status": options.status,
            "category": options.category,
            "rejected_reason": if options.status == "rejected" { "INVALID_FORMAT" } else { "NONE" },
            "components": components(options),
        })
    }
}

fn components(options: &TemplateOptions) -> Vec<Value> {
    let header = options
        .header
        .as_ref()
        .map(|text| json!({ "type": "HEADER", "format": "TEXT", "text": text }));
    let body = Some(json!({ "type": "BODY", "text": options.body }));
    let footer = options.footer.as_ref().map(|text| json!({ "type": "FOOTER", "text": text }));
    let buttons = options.button_url.as_ref().map(|url| {
        let button = json!({ "type": "URL", "text": "Open my account", "url": url });
        json!({ "type": "BUTTONS", "buttons": [button] })
    });
    [header, body, footer, buttons].into_iter().flatten().collect()
}

fn count_in(text: Option<&str>) -> usize {
    text.map_or(0, |text| count(&pieces(text)))
}

fn count(pieces: &[Piece]) -> usize {
    let numbers = pieces.iter().map(|piece| match piece {
        Piece::Text(_) => 0,
        Piece::Variable(variable) => variable + 1,
    });
    numbers.max().unwrap_or(0)
}

fn pieces(body: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = body;
    while let Some((before, variable, after)) = next_variable(rest) {
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Variable(variable));
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces
}

fn next_variable(text: &str) -> Option<(&str, usize, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find("{{")?;
        let inner = open + 2;
        let close = inner + text.get(inner..)?.find("}}")?;
        match text[inner..close].trim().parse::<usize>() {
            Ok(number) if number > 0 => {
                return Some((&text[..open], number - 1, &text[close + 2..]));
            }
            _ => from = inner,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_message_comes_out_to_the_letter() {
        let template = ApprovedTemplate::new(TemplateOptions::default());
        let parameters =
            ["Maria", "home delivery", "New window: June 25 from 10:00 AM to 12:00 PM."];
        let text = template.render(&parameters);
        assert_eq!(
            text,
            "Hello, Maria! The status of your home delivery has been updated. New window: June 25 \
             from 10:00 AM to 12:00 PM. If you need help — we are here."
        );
        assert_eq!(template.variables, 3);
        assert_eq!(template.chars(&parameters), text.chars().count());
    }

    #[test]
    fn a_repeated_variable_counts_once_and_a_broken_one_is_text() {
        let options = TemplateOptions {
            body: "{{1}} and {{1}}, {{name}} {{0}} {{2".into(),
            ..TemplateOptions::default()
        };
        let template = ApprovedTemplate::new(options);
        assert_eq!(template.variables, 1);
        assert_eq!(template.render(&["x"]), "x and x, {{name}} {{0}} {{2");
    }
}
