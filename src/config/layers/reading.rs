//! From the tree to typed settings: a deserializer of serde whose errors are facts, so that each shows
//! its key and the words of TOML. What is a mistake is mended, so that the next one shows.
//!
//! An enum is a text. `channel::Written` is a table that names its variant in `provider`; the structs of
//! the variant share that table.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::value::{MapAccessDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::config::layers::reading_error::{ReadingError, Wrong, one_of};
use crate::config::layers::tree::{self, PathSegment, Table, Value, ValueKind, key_of};
use crate::config::units;
use crate::finding::{Finding, hint, nearest};

/// The setting that names the variant of an enum that is a table; the enum has its name.
pub const TAG: &str = "provider";

/// What a site writes where there is no default, by kind of section.
const EXAMPLES: [(&str, &str, &str); 13] = [
    ("channel", "provider", "\"1msg\""),
    ("channel", "channel_id", "\"ODI371267300\""),
    ("channel", "token_file", "\"/etc/rowbell/1msg.token\""),
    ("channel", "url", "\"https://sms.example.com/send\""),
    ("channel", "host", "\"mail.example.com\""),
    ("channel", "from", "\"Shop <shop@example.com>\""),
    ("template", "language", "{ default = \"en\" }"),
    ("template", "body", "[\"{{ recipient.name }}\", \"{{ summary }}\"]"),
    ("watch", "table", "\"public.delivery\""),
    ("watch", "channel", "\"main\", where there is a section [channel.main]"),
    ("watch", "template", "\"service_change\", where there is a section [template.service_change]"),
    ("watch", "columns", "[\"status\", \"address\"]"),
    ("database", "url", "\"postgresql://rowbell@host/database\""),
];

/// Mistakes that are shown at once.
const MAX_FINDINGS: usize = 50;

type Read<T> = Result<T, ReadingError>;

/// Deserializes; on a mistake mends the tree and tries again, so that all mistakes are found at once.
/// The value is there when nothing had to be made up. `owner_of` knows the variant that has a setting.
pub fn read_all<T: DeserializeOwned>(
    mut tree: Value,
    defaults: &Value,
    owner_of: impl Fn(&str) -> Option<&'static str>,
) -> (Option<T>, Vec<Finding>) {
    let mut found: BTreeMap<Vec<PathSegment>, (Wrong, u8)> = BTreeMap::new();
    let mut is_whole = true;
    let parsed = loop {
        let ReadingError { mut path, what } = match T::deserialize(Reader(&tree)) {
            Ok(parsed) => break is_whole.then_some(parsed),
            Err(fault) => fault,
        };
        path.reverse();
        let what = what.with_owner(path.last(), &owner_of);
        is_whole &= tree::at(&tree, &path).is_some();
        let count = found.len();
        let (_, tried) = found.entry(path.clone()).or_insert((what, 0));
        *tried += 1;
        if count >= MAX_FINDINGS || !mend(&mut tree, &path, defaults, *tried) {
            break None;
        }
    };
    // A setting that is missing because its name was misspelt is one mistake, not two.
    let misspelt: Vec<Vec<PathSegment>> =
        found.iter().filter_map(|(path, (what, _))| meant(path, what)).collect();
    found.retain(|path, (what, _)| !matches!(what, Wrong::Missing) || !misspelt.contains(path));
    let findings =
        found.iter().map(|(path, (what, _))| Finding::new(key_of(path), words(path, what)));
    (parsed, findings.collect())
}

/// Takes a mistake out of the tree, so that the next one shows: the default comes in its place, or
/// nothing; where something must be there, an empty text or list; and if that does not help, the
/// whole section goes. False: there is nothing more to try.
fn mend(tree: &mut Value, path: &[PathSegment], defaults: &Value, tried: u8) -> bool {
    let is_there = tree::at(tree, path).is_some();
    match (is_there, tried, tree::at(defaults, path)) {
        (true, 1, default) => tree::set(tree, path, default.cloned()),
        (false, 1 | 2, _) => tree::set(tree, path, Some(Value::from(""))),
        (true, 2 | 3, _) => tree::set(tree, path, Some(Value::from(Vec::<Value>::new()))),
        _ => path.split_last().is_some_and(|(_, above)| tree::set(tree, above, None)),
    }
}

impl Wrong {
    fn with_owner(
        self,
        name: Option<&PathSegment>,
        owner_of: impl Fn(&str) -> Option<&'static str>,
    ) -> Wrong {
        match (self, name) {
            (Wrong::UnknownHere { known, variant }, Some(PathSegment::Key(name))) => {
                owner_of(name).map_or(Wrong::Unknown(known), |owner| {
                    Wrong::Value(format!(
                        "belongs to channels with {TAG} = \"{owner}\"; this one has {TAG} = \"{variant}\""
                    ))
                })
            }
            (other, _) => other,
        }
    }
}

/// The setting whose name was misspelt.
fn meant(path: &[PathSegment], what: &Wrong) -> Option<Vec<PathSegment>> {
    let (Wrong::Unknown(known), [above @ .., PathSegment::Key(name)]) = (what, path) else {
        return None;
    };
    let near = nearest(name, known.iter().copied())?;
    Some([above, &[PathSegment::Key(near.to_owned())]].concat())
}

fn words(path: &[PathSegment], what: &Wrong) -> String {
    match (what, path.last()) {
        (Wrong::Missing, Some(PathSegment::Key(name))) => {
            let section = path.first();
            let is_it = |kind: &str, known: &str| {
                known == name && matches!(section, Some(PathSegment::Key(first)) if first == kind)
            };
            let example = EXAMPLES.iter().find(|(kind, known, _)| is_it(kind, known));
            let example = example.map(|(.., value)| format!("; for example {name} = {value}"));
            format!("is missing, and there is no default for it{}", example.unwrap_or_default())
        }
        (Wrong::Missing, _) => "is missing, and there is no default for it".to_owned(),
        (Wrong::Unknown(known), Some(PathSegment::Key(name))) => {
            format!("there is no such setting{}", hint(name, known))
        }
        (Wrong::Unknown(_) | Wrong::UnknownHere { .. }, _) => "there is no such setting".to_owned(),
        (Wrong::Value(what), _) => what.clone(),
    }
}

/// The names of a struct's settings.
pub fn fields_of<T: DeserializeOwned>() -> Vec<&'static str> {
    let odd = Value::from(Table::from([(String::new(), Value::from(true))]));
    match T::deserialize(Reader(&odd)) {
        Err(ReadingError { what: Wrong::Unknown(known), .. }) => known,
        _ => Vec::new(),
    }
}

/// Reads a setting. The crate's own deserializer consumes it, and its errors are texts.
#[derive(Clone, Copy)]
struct Reader<'de>(&'de Value);

impl Reader<'_> {
    fn wrong<T>(self, expected: &str) -> Read<T> {
        let found = match &self.0.kind {
            ValueKind::Boolean(is_on) => Unexpected::Bool(*is_on),
            ValueKind::I64(number) => Unexpected::Signed(*number),
            ValueKind::Float(number) => Unexpected::Float(*number),
            ValueKind::String(text) => Unexpected::Str(text),
            ValueKind::Array(_) => Unexpected::Seq,
            ValueKind::Table(_) => Unexpected::Map,
            // TOML has no others.
            _ => Unexpected::Unit,
        };
        Err(ReadingError::invalid_type(found, &expected))
    }
}

/// Numbers and truths may stand in quotes, as they do in variables.
macro_rules! plain {
    ($($method:ident, $visit:ident, $kind:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            if matches!(self.0.kind, ValueKind::Array(_) | ValueKind::Table(_)) {
                return self.wrong($expected);
            }
            match self.0.kind.to_string().parse::<$kind>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => self.wrong($expected),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = ReadingError;

    plain! {
        deserialize_bool, visit_bool, bool, "true or false";
        deserialize_i32, visit_i32, i32, "a whole number";
        deserialize_u16, visit_u16, u16, "a whole number from 0 to 65535";
        deserialize_u32, visit_u32, u32, "a whole number from 0 to 4294967295";
        deserialize_u64, visit_u64, u64, "a whole number, 0 or more";
        deserialize_f64, visit_f64, f64, "a number";
        deserialize_string, visit_string, String, "a string";
        deserialize_str, visit_string, String, "a string";
        deserialize_identifier, visit_string, String, "a string";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match &self.0.kind {
            ValueKind::Boolean(is_on) => visitor.visit_bool(*is_on),
            ValueKind::I64(number) => visitor.visit_i64(*number),
            ValueKind::Float(number) => visitor.visit_f64(*number),
            // Variables alone have an origin; they are texts, even where a number is meant.
            ValueKind::String(text) => match (self.0.origin(), text.parse::<i64>()) {
                (Some(_), Ok(number)) if number.to_string() == *text => visitor.visit_i64(number),
                _ => visitor.visit_str(text),
            },
            ValueKind::Array(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            ValueKind::Table(table) => visitor.visit_map(Entries::new(table, |_| true)),
            _ => self.wrong("a setting"),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match &self.0.kind {
            ValueKind::Array(_) => self.deserialize_any(visitor),
            _ => self.wrong("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match &self.0.kind {
            ValueKind::Table(_) => self.deserialize_any(visitor),
            _ => self.wrong("a table"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match &self.0.kind {
            // As serde has it, a duration is a struct; here it is a text.
            ValueKind::String(text) if name == "Duration" => {
                let time = units::duration_of(text).map_err(ReadingError::custom)?;
                let parts = [time.as_secs(), u64::from(time.subsec_nanos())];
                visitor.visit_seq(SeqDeserializer::new(parts.into_iter()))
            }
            _ if name == "Duration" => self.wrong("a duration such as \"20s\""),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match &self.0.kind {
            ValueKind::Table(table) if name == TAG => {
                let known = RefCell::new(vec![TAG]);
                visitor.visit_enum(MapAccessDeserializer::new(Shared { table, known: &known }))
            }
            ValueKind::String(text) if name != TAG => {
                visitor.visit_enum(StrDeserializer::new(text))
            }
            _ if name == TAG => self.wrong("a table"),
            _ => self.wrong(&one_of(variants)),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i64 i128 u8 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Value>>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = ReadingError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        let Some((index, item)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(item))
            .map(Some)
            .map_err(|fault| fault.below(PathSegment::Index(index)))
    }
}

struct Entries<'de> {
    left: std::vec::IntoIter<(&'de String, &'de Value)>,
    value: Option<(&'de String, &'de Value)>,
}

impl<'de> Entries<'de> {
    fn new(table: &'de Table, is_read: impl Fn(&str) -> bool) -> Entries<'de> {
        let mut left = tree::sorted(table);
        left.retain(|(name, _)| is_read(name));
        Entries { left: left.into_iter(), value: None }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = ReadingError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        self.value = self.left.next();
        let Some((name, _)) = self.value else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<S::Value> {
        let (name, setting) =
            self.value.take().ok_or_else(|| ReadingError::custom("no key was read"))?;
        seed.deserialize(Reader(setting))
            .map_err(|fault| fault.below(PathSegment::Key(name.clone())))
    }
}

/// A table that several structs share: each takes the settings that it knows.
#[derive(Clone, Copy)]
struct Shared<'a, 'de> {
    table: &'de Table,
    known: &'a RefCell<Vec<&'static str>>,
}

/// The variant with the table that it is in.
impl<'de> de::MapAccess<'de> for Shared<'_, 'de> {
    type Error = ReadingError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        let tag = self.table.get(TAG).ok_or_else(|| ReadingError::missing_field(TAG))?;
        seed.deserialize(Reader(tag))
            .map(Some)
            .map_err(|fault| fault.below(PathSegment::Key(TAG.to_owned())))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<S::Value> {
        seed.deserialize(*self)
    }
}

impl<'de> de::SeqAccess<'de> for Shared<'_, 'de> {
    type Error = ReadingError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        seed.deserialize(*self).map(Some)
    }
}

impl<'de> Deserializer<'de> for Shared<'_, 'de> {
    type Error = ReadingError;

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        let read = visitor.visit_seq(self)?;
        let known = self.known.take();
        let settings = tree::sorted(self.table);
        let Some((name, _)) =
            settings.into_iter().find(|(name, _)| !known.contains(&name.as_str()))
        else {
            return Ok(read);
        };
        let what = match self.table.get(TAG).and_then(tree::text) {
            Some(variant) => Wrong::UnknownHere { known, variant: variant.to_owned() },
            None => Wrong::Unknown(known),
        };
        Err(ReadingError { path: vec![PathSegment::Key(name.clone())], what })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        self.known.borrow_mut().extend(fields);
        visitor.visit_map(Entries::new(self.table, |name| fields.contains(&name)))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Read<V::Value> {
        Err(ReadingError::custom("only structs share a table"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple_struct map enum identifier ignored_any
    }
}
