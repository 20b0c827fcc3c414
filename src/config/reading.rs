//! From the tree to typed settings: a deserializer of serde whose errors are facts, so that each is
//! told with its key and in the words of TOML. What is a mistake is mended, so that the next one shows.
//!
//! An enum is a text. `channel::Written` is a table that names its variant in `provider`; the structs of
//! the variant share that table.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

use crate::config::tree::{PathSegment, Setting, Table, Value, key_of};
use crate::config::{channel, units};
use crate::finding::{Finding, hint, nearest};

/// The setting that names the variant of an enum that is a table; the enum has its name.
pub const TAG: &str = "provider";

/// Mistakes that are told at once.
const MAX_FINDINGS: usize = 50;

type Read<T> = Result<T, ReadingError>;

/// Why a setting cannot be read.
#[derive(Debug)]
pub struct ReadingError {
    /// From the setting to the root.
    path: Vec<PathSegment>,
    what: Wrong,
}

#[derive(Debug)]
enum Wrong {
    /// There are these.
    Unknown(Vec<&'static str>),
    Missing,
    Value(String),
}

impl ReadingError {
    fn below(mut self, step: PathSegment) -> ReadingError {
        self.path.push(step);
        self
    }
}

impl std::error::Error for ReadingError {}

impl fmt::Display for ReadingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl de::Error for ReadingError {
    fn custom<T: fmt::Display>(what: T) -> ReadingError {
        ReadingError { path: Vec::new(), what: Wrong::Value(what.to_string()) }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> ReadingError {
        match found {
            Unexpected::Str(text) => {
                ReadingError::custom(format!("expected {expected}, found {text:?}"))
            }
            Unexpected::Seq => ReadingError::custom(format!("expected {expected}, found a list")),
            Unexpected::Map => ReadingError::custom(format!("expected {expected}, found a table")),
            other => ReadingError::custom(format!("expected {expected}, found {other}")),
        }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> ReadingError {
        ReadingError::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> ReadingError {
        ReadingError::custom(format!("expected {}, found \"{found}\"", one_of(known)))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> ReadingError {
        ReadingError {
            path: vec![PathSegment::Key(name.to_owned())],
            what: Wrong::Unknown(known.to_vec()),
        }
    }

    fn missing_field(name: &'static str) -> ReadingError {
        ReadingError { path: vec![PathSegment::Key(name.to_owned())], what: Wrong::Missing }
    }
}

fn one_of(known: &[&str]) -> String {
    match known {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        few => few.join(""),
    }
}

/// Deserializes; on a mistake mends the tree and tries again, so that all mistakes are found at once.
/// The value is there when nothing had to be made up.
pub fn read_all<T: DeserializeOwned>(
    mut tree: Setting,
    defaults: &Setting,
) -> (Option<T>, Vec<Finding>) {
    let mut found: BTreeMap<Vec<PathSegment>, (Wrong, u8)> = BTreeMap::new();
    let mut is_whole = true;
    let parsed = loop {
        let ReadingError { mut path, what } = match T::deserialize(&tree) {
            Ok(parsed) => break is_whole.then_some(parsed),
            Err(fault) => fault,
        };
        path.reverse();
        is_whole &= tree.at(&path).is_some();
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
fn mend(tree: &mut Setting, path: &[PathSegment], defaults: &Setting, tried: u8) -> bool {
    let is_there = tree.at(path).is_some();
    match (is_there, tried, defaults.at(path)) {
        (true, 1, default) => tree.set(path, default.cloned()),
        (false, 1 | 2, _) => tree.set(path, Some(Value::Text(String::new()).into())),
        (true, 2 | 3, _) => tree.set(path, Some(Value::List(Vec::new()).into())),
        _ => path.split_last().is_some_and(|(_, above)| tree.set(above, None)),
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
        (Wrong::Missing, _) => "is missing, and there is no default for it".to_owned(),
        (Wrong::Unknown(known), Some(PathSegment::Key(name))) => {
            format!("there is no such setting{}", hint(name, known))
        }
        (Wrong::Unknown(_), _) => "there is no such setting".to_owned(),
        (Wrong::Value(what), _) => what.clone(),
    }
}

/// The names of a struct's settings.
pub fn fields_of<T: DeserializeOwned>() -> Vec<&'static str> {
    let odd = Setting::from(Value::Table(Table::from([(String::new(), Value::Bool(true).into())])));
    match T::deserialize(&odd) {
        Err(ReadingError { what: Wrong::Unknown(known), .. }) => known,
        _ => Vec::new(),
    }
}

impl Setting {
    fn wrong<T>(&self, expected: &str) -> Read<T> {
        let found = match &self.value {
            Value::Bool(is_on) => Unexpected::Bool(*is_on),
            Value::Integer(number) => Unexpected::Signed(*number),
            Value::Float(number) => Unexpected::Float(*number),
            Value::Text(text) => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Table(_) => Unexpected::Map,
        };
        Err(ReadingError::invalid_type(found, &expected))
    }
}

/// Numbers and truths may stand in quotes, as they do in variables.
macro_rules! plain {
    ($($method:ident, $visit:ident, $kind:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            let written = match &self.value {
                Value::Bool(is_on) => is_on.to_string(),
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Text(text) => text.clone(),
                Value::List(_) | Value::Table(_) => return self.wrong($expected),
            };
            match written.parse::<$kind>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => self.wrong($expected),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Setting {
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
        match &self.value {
            Value::Bool(is_on) => visitor.visit_bool(*is_on),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Table(table) => visitor.visit_map(Entries::new(table, |_| true)),
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
        match &self.value {
            Value::List(_) => self.deserialize_any(visitor),
            _ => self.wrong("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match &self.value {
            Value::Table(_) => self.deserialize_any(visitor),
            _ => self.wrong("a table"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match &self.value {
            // As serde has it, a duration is a struct; here it is a text.
            Value::Text(text) if name == "Duration" => {
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
        match &self.value {
            Value::Table(table) if name == TAG => {
                let known = RefCell::new(vec![TAG]);
                visitor.visit_enum(MapAccessDeserializer::new(Shared { table, known: &known }))
            }
            Value::Text(text) if name != TAG => visitor.visit_enum(StrDeserializer::new(text)),
            _ if name == TAG => self.wrong("a table"),
            _ => self.wrong(&one_of(variants)),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i64 i128 u8 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Setting>>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = ReadingError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        let Some((index, item)) = self.0.next() else { return Ok(None) };
        seed.deserialize(item).map(Some).map_err(|fault| fault.below(PathSegment::Index(index)))
    }
}

struct Entries<'de> {
    left: std::vec::IntoIter<(&'de String, &'de Setting)>,
    value: Option<(&'de String, &'de Setting)>,
}

impl<'de> Entries<'de> {
    fn new(table: &'de Table, is_read: impl Fn(&str) -> bool) -> Entries<'de> {
        let read: Vec<_> = table.iter().filter(|(name, _)| is_read(name)).collect();
        Entries { left: read.into_iter(), value: None }
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
        seed.deserialize(setting).map_err(|fault| fault.below(PathSegment::Key(name.clone())))
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
        seed.deserialize(tag)
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
        let Some(name) = self.table.keys().find(|name| !known.contains(&name.as_str())) else {
            return Ok(read);
        };
        let what = match (channel::provider_with(name), self.table.get(TAG).and_then(Setting::text))
        {
            (Some(owner), Some(here)) => Wrong::Value(format!(
                "belongs to channels with provider = \"{owner}\"; this one has provider = \"{here}\""
            )),
            _ => Wrong::Unknown(known),
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
