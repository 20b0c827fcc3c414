//! The difference in words, and the words in the template: what the rules say, in which language,
//! within the limits that WhatsApp sets.

use minijinja::Value as Jinja;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::domain::locale::formats::{formats, locale_of};
use crate::domain::locale::locale::{LocaleSettings, NOTHING, RecipientLocale, Shown};
use crate::domain::text::labels::{ByColumn, Labels};
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::text::phrases::{Phrase, PhraseBook};
use crate::domain::text::render_context::{BODY_LIMIT, RenderContext, Unwritable};
use crate::domain::text::rules::{SayRule, in_order, matching_rules};
use crate::domain::text::template::template_engine::{
    self, Engine, PhrasingSource, TemplateContext,
};
use crate::domain::text::whatsapp_limits;
use crate::domain::value::change::Operation;
use crate::domain::value::column::Column;
use crate::domain::value::diff::{ColumnKind, FieldChange};
use crate::domain::value::moment::FormatError;
use crate::finding::Finding;

/// Characters kept free for the fixed text of a template whose text is not configured.
const UNKNOWN_FIXED_TEXT: usize = 300;

/// Characters that values have where a message would be too long: tried in this order.
const SHORTER_VALUES: [usize; 3] = [300, 100, 40];

/// The words of one watch, compiled.
pub struct Phrasing {
    engine: Engine,
    service: Option<LocalizedText>,
    say: Vec<SayRule>,
    order: Vec<usize>,
    label: BTreeMap<String, LocalizedText>,
    given: Arc<ByColumn>,
    book: Arc<PhraseBook>,
    body_count: usize,
    text: Option<LocalizedText>,
    language: LocalizedText,
    default_locale: String,
}

/// A message in its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Wording {
    /// Body variables in order.
    pub parameters: Vec<String>,
    pub summary: String,
    /// Language code of the template at the provider.
    pub language: String,
    /// The whole text as the customer reads it, where the template's text is configured.
    pub rendered_text: Option<String>,
    /// Whether that text is configured in the language that is sent; if not, WhatsApp shows another one.
    pub is_text_known: bool,
    /// Whether something had to be cut.
    pub was_cut: bool,
    /// The summary before it was cut.
    pub uncut: Option<String>,
}

/// One sentence, and whose clock it shows.
struct Said {
    text: String,
    shown: Shown,
}

impl Phrasing {
    /// Compiles all templates. Reports every problem at once.
    pub fn compile(source: &PhrasingSource<'_>) -> Result<Phrasing, Vec<Finding>> {
        let engine = Engine::compile(source)?;
        Ok(Phrasing {
            engine,
            service: source.service.cloned(),
            order: in_order(source.say),
            say: source.say.to_vec(),
            label: source.label.clone(),
            given: Arc::new(source.value.clone()),
            book: Arc::new(PhraseBook(source.phrase.clone())),
            body_count: source.body.len(),
            text: source.text.cloned(),
            language: source.language.clone(),
            default_locale: source.default_locale.to_owned(),
        })
    }

    /// Puts an occasion into words.
    pub fn word(&self, render_context: &RenderContext<'_>) -> Result<Wording, Unwritable> {
        let (language, locale) = self.language_for(render_context.locale)?;
        let reader = self.reader(render_context, &locale).map_err(|error| {
            Unwritable::Template { place: "recipient".to_owned(), why: error.to_string() }
        })?;
        let reader = Rc::new(reader);
        let all = TemplateContext { render_context, reader: reader.clone() };
        let changes = seen_changes(&all);
        if changes.is_empty() && !render_context.changes.is_empty() {
            return Err(Unwritable::LooksTheSame);
        }
        let seen = RenderContext { changes: &changes, ..*render_context };
        let template_context = TemplateContext { render_context: &seen, reader };
        let full = whatsapp_limits::clean(&self.summary(&template_context, None)?);
        let (parameters, summary) = self.fitted(&template_context, &full, &locale)?;
        let rendered_text = self.rendered_text(&parameters, &locale);
        let is_text_known =
            self.text.as_ref().is_some_and(|text| text.in_language(&locale).is_some());
        let uncut = (summary != full).then_some(full);
        let was_cut = uncut.is_some() || parameters.iter().any(|p| p.ends_with('…'));
        Ok(Wording { rendered_text, is_text_known, was_cut, uncut, parameters, summary, language })
    }

    /// What is wrong with a rule in each of its languages, whether it would speak or not.
    pub fn rehearse_rule(&self, place: usize, render_context: &RenderContext<'_>) -> Vec<Finding> {
        let texts = self.say.get(place).and_then(|rule| rule.text.as_ref());
        let tags = texts.iter().flat_map(|text| text.each()).map(|(tag, _)| tag);
        let problem = |tag: &str| {
            let locale = if tag == "default" { &self.default_locale } else { tag };
            let name = template_engine::say_name(place, tag);
            let said = self.for_reader(render_context, locale, |context| {
                self.engine.render(&name, context, &[]).map(drop)
            });
            said.err().map(|why| Finding::new(name, why))
        };
        tags.filter_map(problem).collect()
    }

    /// What is wrong with the variables of the body.
    pub fn rehearse_body(&self, render_context: &RenderContext<'_>) -> Vec<Finding> {
        let tried = (0..self.body_count).filter_map(|variable| {
            let name = template_engine::body_name(variable);
            let more = [("service", Jinja::from("x")), ("summary", Jinja::from("x"))];
            let said = self.for_reader(render_context, &self.default_locale, |context| {
                self.engine.render(&name, context, &more).map(drop)
            });
            said.err().map(|why| Finding::new(name, why))
        });
        tried.collect()
    }

    /// The variables of the body that write the summary.
    pub fn writes_summary(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.body_count)
            .filter(|variable| self.engine.uses(&template_engine::body_name(*variable), "summary"))
    }

    /// A phrase of its own in the language of a locale.
    pub(super) fn phrase(&self, locale: &str, which: Phrase) -> Cow<'_, str> {
        self.book.phrase(locale, &self.default_locale, which)
    }

    /// Whether the body writes the name of the recipient, and nothing beside it.
    pub fn writes_name(&self) -> bool {
        (0..self.body_count)
            .any(|variable| self.engine.is_only(&template_engine::body_name(variable), "recipient"))
    }

    fn for_reader(
        &self,
        render_context: &RenderContext<'_>,
        locale: &str,
        render: impl FnOnce(&TemplateContext<'_>) -> Result<(), Unwritable>,
    ) -> Result<(), String> {
        let reader = self.reader(render_context, locale).map_err(|error| error.to_string())?;
        let rendered = render(&TemplateContext { render_context, reader: Rc::new(reader) });
        rendered.map_err(|error| match error {
            Unwritable::Template { why, .. } => why,
            other => other.to_string(),
        })
    }

    fn reader(
        &self,
        render_context: &RenderContext<'_>,
        locale: &str,
    ) -> Result<RecipientLocale, FormatError> {
        RecipientLocale::new(LocaleSettings {
            locale,
            default_locale: &self.default_locale,
            zone: render_context.time_zone,
            service_zone: render_context.service_zone,
            is_zone_unchosen: render_context.is_zone_unchosen,
            now: render_context.now,
            labels: Labels { given: self.given.clone(), found: render_context.names.clone() },
            rows: [Some(render_context.row), render_context.old],
            book: self.book.clone(),
        })
    }

    /// The template's language code, and the locale that words, dates and numbers are written in:
    /// the recipient's own where the template speaks its language, the template's otherwise.
    pub(super) fn language_for(&self, locale: &str) -> Result<(String, String), Unwritable> {
        let code = self
            .language
            .for_locale(locale, &self.default_locale)
            .ok_or_else(|| Unwritable::Language(locale.to_owned()))?;
        let speaks = is_same_language(code, locale);
        let known = speaks && formats(locale).is_ok();
        Ok((code.to_owned(), if known { locale } else { code }.to_owned()))
    }

    /// What the rules say, then what no rule speaks of, in one line. `most`: what no rule speaks of has values of so
    /// many characters.
    fn summary(
        &self,
        template_context: &TemplateContext<'_>,
        most: Option<usize>,
    ) -> Result<String, Unwritable> {
        let locale = &template_context.reader.locale;
        let tag = |place: usize| {
            let text = self.say[place].text.as_ref()?;
            template_engine::tag_for(text, locale, &self.default_locale)
        };
        let can_say = |place| tag(place).is_some();
        let (places, uncovered) =
            matching_rules(&self.say, &self.order, template_context.render_context, can_say);
        let mut said = Vec::with_capacity(places.len() + uncovered.len());
        for place in &places {
            if let (Some(tag), false) = (tag(*place), self.say[*place].silent) {
                said.push(
                    self.say_rule(&template_engine::say_name(*place, &tag), template_context)?,
                );
            }
        }
        for change in uncovered {
            said.push(self.plain(change, template_context, most)?);
        }
        said.retain(|said| !said.text.is_empty());
        if said.is_empty() {
            let is_update = template_context.render_context.operation == Operation::Update;
            said.push(match places.is_empty() {
                false => return Err(Unwritable::Silent),
                true if is_update => return Err(Unwritable::LooksTheSame),
                true => plain_sentence(template_context),
            });
        }
        self.joined(said, template_context)
    }

    fn say_rule(
        &self,
        name: &str,
        template_context: &TemplateContext<'_>,
    ) -> Result<Said, Unwritable> {
        template_context.reader.take_shown();
        let text = whatsapp_limits::tidy(&self.engine.render(name, template_context, &[])?);
        let shown = template_context.reader.take_shown();
        // A rule that names the zone by itself needs no help.
        let names_it = self.engine.uses(name, "zone");
        Ok(Said { text, shown: if names_it { Shown::Nothing } else { shown } })
    }

    /// One text; the last sentence with a clock tells whose clock it is, where they differ.
    fn joined(
        &self,
        mut said: Vec<Said>,
        template_context: &TemplateContext<'_>,
    ) -> Result<String, Unwritable> {
        if let Some(last) = said.iter_mut().rev().find(|said| said.shown != Shown::Nothing) {
            last.text = with_zone(&last.text, last.shown, &template_context.reader)?;
        }
        let space = template_context.reader.phrase(Phrase::Space, &[]);
        Ok(said.into_iter().map(|said| said.text).collect::<Vec<_>>().join(&space))
    }

    /// "Label: old → new.", or "Label: new." where there was nothing before.
    fn plain(
        &self,
        change: &FieldChange,
        template_context: &TemplateContext<'_>,
        most: Option<usize>,
    ) -> Result<Said, Unwritable> {
        let reader = &template_context.reader;
        let label = self
            .label
            .get(&change.column)
            .and_then(|label| label.for_locale(&reader.locale, &self.default_locale))
            .map_or_else(|| spoken_name(&change.column), str::to_owned);
        let label = reader.isolated(&label);
        reader.take_shown();
        let (old, new) = shown(change, template_context).map_err(|error| Unwritable::Template {
            place: change.column.clone(),
            why: error.to_string(),
        })?;
        let [old, new] = [old, new].map(|value| match most {
            Some(most) if value.chars().count() > most => {
                whatsapp_limits::cut(&value, most).unwrap_or(value)
            }
            _ => value,
        });
        let text = match old == NOTHING {
            // Two rows without a name, one after the other, are nothing to read; unless they have names that could
            // not be looked up.
            true if new == NOTHING && !reader.labels.have_failed(&change.column) => String::new(),
            true => reader.phrase(Phrase::Set, &[("label", &label), ("new", &new)]),
            false => {
                let values = [("label", &*label), ("old", &old), ("new", &new)];
                reader.phrase(Phrase::Changed, &values)
            }
        };
        Ok(Said { text: whatsapp_limits::tidy(&text), shown: reader.take_shown() })
    }

    /// The variables of the body, cut where the body would be too long: the values of the summary first, so that none
    /// hides what it became; then the summary, and what is longest after that.
    fn fitted(
        &self,
        template_context: &TemplateContext<'_>,
        full: &str,
        locale: &str,
    ) -> Result<(Vec<String>, String), Unwritable> {
        let parameters = self.parameters(template_context, full)?;
        if self.length(&parameters, locale) <= BODY_LIMIT {
            return Ok((parameters, full.to_owned()));
        }
        for most in SHORTER_VALUES {
            let shorter = whatsapp_limits::clean(&self.summary(template_context, Some(most))?);
            let parameters = self.parameters(template_context, &shorter)?;
            if self.length(&parameters, locale) <= BODY_LIMIT {
                return Ok((parameters, shorter));
            }
        }
        let shortest = SHORTER_VALUES.last().copied();
        let full = &whatsapp_limits::clean(&self.summary(template_context, shortest)?);
        let total = self.length(&self.parameters(template_context, full)?, locale);
        let length = full.chars().count();
        let shorter = whatsapp_limits::cut(full, length.saturating_sub(total - BODY_LIMIT));
        let summary = shorter.ok_or(Unwritable::TooLong(total - length))?;
        let mut parameters = self.parameters(template_context, &summary)?;
        for _ in 0..parameters.len() {
            let excess = self.length(&parameters, locale).saturating_sub(BODY_LIMIT);
            let longest = parameters.iter_mut().max_by_key(|p| p.chars().count());
            let (Some(longest), true) = (longest, excess > 0) else {
                break;
            };
            let room = longest.chars().count().saturating_sub(excess);
            *longest =
                whatsapp_limits::cut(longest, room).ok_or(Unwritable::TooLong(total - length))?;
        }
        Ok((parameters, summary))
    }

    fn parameters(
        &self,
        template_context: &TemplateContext<'_>,
        summary: &str,
    ) -> Result<Vec<String>, Unwritable> {
        let service = self
            .service
            .as_ref()
            .and_then(|service| {
                service.for_locale(&template_context.reader.locale, &self.default_locale)
            })
            .unwrap_or_default();
        // The summary is ready to be read; the service may be named in another language.
        let summary = Jinja::from_safe_string(summary.to_owned());
        let more = [("service", Jinja::from(service)), ("summary", summary)];
        let mut parameters = Vec::with_capacity(self.body_count);
        for i in 0..self.body_count {
            let name = template_engine::body_name(i);
            template_context.reader.take_shown();
            let mut text =
                whatsapp_limits::clean(&self.engine.render(&name, template_context, &more)?);
            let shown = template_context.reader.take_shown();
            if shown != Shown::Nothing && !self.engine.uses(&name, "zone") {
                text = format!(
                    "{text} {}",
                    whatsapp_limits::in_brackets(&zone(&template_context.reader, shown)?)
                );
            }
            if text.is_empty() {
                return Err(Unwritable::Empty(format!("variable {{{{{}}}}}", i + 1)));
            }
            parameters.push(text);
        }
        Ok(parameters)
    }

    /// Characters of the whole body.
    pub(super) fn length(&self, parameters: &[String], locale: &str) -> usize {
        match self.rendered_text(parameters, locale) {
            Some(rendered_text) => rendered_text.chars().count(),
            None => {
                parameters.iter().map(|p| p.chars().count()).sum::<usize>() + UNKNOWN_FIXED_TEXT
            }
        }
    }

    pub(super) fn rendered_text(&self, parameters: &[String], locale: &str) -> Option<String> {
        let text = self.text.as_ref()?.for_locale(locale, &self.default_locale)?;
        Some(whatsapp_limits::fill(text, parameters))
    }
}

/// The changes that a recipient can see; of a row that is gone for them, all of them.
fn seen_changes(template_context: &TemplateContext<'_>) -> Vec<FieldChange> {
    let render_context = template_context.render_context;
    let is_seen = |change: &&FieldChange| {
        render_context.operation.is_end() || is_seen(change, template_context)
    };
    let changes = render_context.changes.iter().filter(is_seen).cloned().collect();
    template_context.reader.take_shown();
    changes
}

/// Whether a change can be seen: the values look different, or nothing is known of how they look, as of a row
/// without a name.
fn is_seen(change: &FieldChange, template_context: &TemplateContext<'_>) -> bool {
    let Ok((old, new)) = shown(change, template_context) else { return true };
    let labels = &template_context.reader.labels;
    (old == NOTHING && new == NOTHING && labels.are_keys(&change.column))
        || whatsapp_limits::as_seen(&old) != whatsapp_limits::as_seen(&new)
}

/// Both values of a change, as the recipient reads them.
fn shown(
    change: &FieldChange,
    template_context: &TemplateContext<'_>,
) -> Result<(String, String), FormatError> {
    let render_context = template_context.render_context;
    let other = Column::from(ColumnKind::Other);
    let column = render_context.columns.get(&change.column).unwrap_or(&other);
    let show = |value, row| template_context.reader.show(&change.column, column, value, row);
    Ok((show(&change.old, render_context.old)?, show(&change.new, Some(render_context.row))?))
}

/// What is said when neither a rule nor a field says anything.
fn plain_sentence(template_context: &TemplateContext<'_>) -> Said {
    let phrase = match template_context.render_context.operation {
        Operation::Insert => Phrase::Created,
        Operation::Withdrawn => Phrase::Withdrawn,
        Operation::Update | Operation::Delete => Phrase::Cancelled,
    };
    Said { text: template_context.reader.phrase(phrase, &[]), shown: Shown::Nothing }
}

fn with_zone(sentence: &str, shown: Shown, reader: &RecipientLocale) -> Result<String, Unwritable> {
    Ok(whatsapp_limits::before_the_end(
        sentence,
        &whatsapp_limits::in_brackets(&zone(reader, shown)?),
    ))
}

fn zone(reader: &RecipientLocale, shown: Shown) -> Result<String, Unwritable> {
    reader.zone_of(shown).map_err(|error| Unwritable::Template {
        place: "time_zone".to_owned(),
        why: error.to_string(),
    })
}

/// What a column is called where it has no label: its name, or the end of its path.
fn spoken_name(column: &str) -> String {
    column.rsplit('.').next().unwrap_or(column).replace('_', " ")
}

/// Whether two locales are of one language, by whatever name it goes.
fn is_same_language(one: &str, other: &str) -> bool {
    let language = |tag| locale_of(tag).map(|locale| locale.id.language);
    primary(one).eq_ignore_ascii_case(primary(other))
        || matches!((language(one), language(other)), (Ok(one), Ok(other)) if one == other)
}

/// The language of a tag: `pt` of `pt-BR`.
fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}
