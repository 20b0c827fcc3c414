//! Which numbers there are in each country: the patterns of libphonenumber's metadata, each asked about a
//! number as a whole.
//!
//! The parser of the crate that carries the metadata is not used: it takes the first digits of a local
//! number for its country code, letters for the digits of their keys, and drops a trunk prefix twice.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::{Regex, RegexBuilder};

/// Digits of the longest country code.
const LONGEST_CODE: usize = 3;

/// The longest number with its country code (E.164).
const LONGEST_NUMBER: usize = 15;

/// Made when a country code is met first.
static PLANS: LazyLock<Mutex<HashMap<u16, Arc<CountryPlans>>>> = LazyLock::new(Mutex::default);

/// The plans of the regions that share a country code, as those of North America do.
struct CountryPlans {
    code: String,
    regions: Vec<NumberingPlan>,
}

/// How the numbers of one region are made.
struct NumberingPlan {
    region: String,
    /// What is dialled at home before a number: as a rule that may put other digits in its place, and plain.
    trunk_rule: Option<(Pattern, String)>,
    trunk: String,
    /// People do not write a number without it.
    writes_trunk: bool,
    /// What is dialled in the region before a country code.
    international: Option<Pattern>,
    kinds: Vec<Kind>,
}

/// One kind of numbers: mobile, fixed line …
struct Kind {
    lengths: Vec<u16>,
    pattern: Pattern,
}

/// A pattern that is compiled when it is first asked: some are long, and most never are.
struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

/// A number without plus sign, read in a region.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// With its country code.
    Number(String),
    /// Two numbers, as the first digits are the country code or not.
    Ambiguous,
    None,
}

/// The number, if it is one, of international digits: as they stand, or without the trunk prefix that
/// people leave in (`+44 (0)20 …`).
pub fn international(digits: &str) -> Option<String> {
    let (country, national) = split(digits)?;
    country.number(national)
}

/// The country code, and what stands behind it.
fn split(digits: &str) -> Option<(Arc<CountryPlans>, &str)> {
    (1..=LONGEST_CODE.min(digits.len()))
        .map(|length| digits.split_at(length))
        .find_map(|(code, rest)| Some((code.parse().ok().and_then(country)?, rest)))
}

/// A number without plus sign: as it is dialled in the region, or with the region's own country code, or as
/// the region dials abroad. Where two of these are numbers, and differ, one of them is a stranger's.
/// The region must be known.
pub fn in_region(digits: &str, region: &str) -> Reading {
    let Some(country) = country_of(region) else { return Reading::None };
    let plan = country.regions.iter().find(|plan| plan.region == region);
    let Some(plan) = plan else { return Reading::None };
    let dialled = country.dialled(digits, plan);
    let coded = digits.strip_prefix(&country.code).and_then(|national| country.number(national));
    let abroad = plan.abroad(digits).and_then(international);
    // At home `49 176…` would be `0 49 176…`: without the 0 it is the country code.
    let lacks_trunk = plan.writes_trunk && !digits.starts_with(&plan.trunk);
    let dialled = dialled.filter(|_| !(lacks_trunk && coded.is_some()));
    let mut numbers: Vec<String> = [dialled, coded, abroad].into_iter().flatten().collect();
    numbers.dedup();
    match numbers.len() {
        0 => Reading::None,
        1 => Reading::Number(numbers.remove(0)),
        _ => Reading::Ambiguous,
    }
}

/// The region whose plan has the number of international digits, such as `US`; the first of those that share its country
/// code where none does. None for numbers of no region, such as +800.
pub fn region_of(digits: &str) -> Option<String> {
    let (country, national) = split(digits)?;
    let has = |plan: &&NumberingPlan| plan.has(national);
    let plan = country.regions.iter().find(has).or(country.regions.first())?;
    Some(plan.region.clone()).filter(|region| region.chars().all(char::is_alphabetic))
}

/// The regions that the metadata knows.
const REGIONS: &str = "AC AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO \
    BQ BR BS BT BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK \
    DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ \
    GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM \
    KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH \
    PK PL PM PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR \
    SS ST SV SX SY SZ TA TC TD TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC \
    VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Whether it is a region such as `US`. Reading the metadata for that would cost each start of a command more than all
/// the rest of it.
pub fn is_region(region: &str) -> bool {
    REGIONS.split(' ').any(|known| known == region)
}

fn country_of(region: &str) -> Option<Arc<CountryPlans>> {
    country(DATABASE.by_id(region)?.country_code())
}

fn country(code: u16) -> Option<Arc<CountryPlans>> {
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = plans.get(&code) {
        return Some(Arc::clone(known));
    }
    let regions = DATABASE.by_code(&code)?.into_iter().map(NumberingPlan::new).collect();
    let country = Arc::new(CountryPlans { code: code.to_string(), regions });
    plans.insert(code, Arc::clone(&country));
    Some(country)
}

impl CountryPlans {
    /// The number with its country code, of digits that stand behind one.
    fn number(&self, national: &str) -> Option<String> {
        let without = || self.regions.iter().find_map(|plan| self.without_trunk(national, plan));
        // A rule may put the area of its region in front of a short number: behind a country code, nobody wrote that.
        let is_whole = |number: &String| number.len() <= self.code.len() + national.len();
        self.with_code(national).or_else(|| without().filter(is_whole))
    }

    /// The number with its country code, of digits as they are dialled in a region.
    fn dialled(&self, digits: &str, plan: &NumberingPlan) -> Option<String> {
        self.with_code(digits).or_else(|| self.without_trunk(digits, plan))
    }

    fn without_trunk(&self, digits: &str, plan: &NumberingPlan) -> Option<String> {
        let by_rule = plan.by_trunk_rule(digits);
        let plain = Some(plan.trunk.as_str()).filter(|trunk| !trunk.is_empty());
        let plain = plain.and_then(|trunk| digits.strip_prefix(trunk)).map(str::to_owned);
        by_rule.into_iter().chain(plain).find_map(|national| self.with_code(&national))
    }

    fn with_code(&self, national: &str) -> Option<String> {
        let is_short = self.code.len() + national.len() <= LONGEST_NUMBER;
        let is_one = is_short && self.regions.iter().any(|plan| plan.has(national));
        is_one.then(|| format!("{}{national}", self.code))
    }
}

impl NumberingPlan {
    fn new(metadata: &Metadata) -> NumberingPlan {
        let rule = metadata.national_prefix_for_parsing();
        let in_place = metadata.national_prefix_transform_rule().unwrap_or_default().to_owned();
        let rules = metadata.formats().iter().map(|format| format.national_prefix());
        let with_trunk = rules.filter(|rule| rule.is_some_and(|rule| rule.contains("$NP"))).count();
        NumberingPlan {
            region: metadata.id().to_owned(),
            trunk_rule: rule.map(|rule| (Pattern::begin(rule.as_str()), in_place)),
            trunk: metadata.national_prefix().unwrap_or_default().to_owned(),
            writes_trunk: with_trunk * 2 > metadata.formats().len(),
            international: metadata.international_prefix().map(|p| Pattern::begin(p.as_str())),
            kinds: descriptors(metadata).into_iter().flatten().map(Kind::new).collect(),
        }
    }

    fn has(&self, national: &str) -> bool {
        self.kinds.iter().any(|kind| kind.has(national))
    }

    /// What follows the prefix that is dialled in the region before a country code.
    fn abroad<'a>(&self, digits: &'a str) -> Option<&'a str> {
        let prefix = self.international.as_ref()?.get()?.find(digits)?;
        Some(&digits[prefix.end()..]).filter(|rest| !rest.starts_with('0'))
    }

    fn by_trunk_rule(&self, national: &str) -> Option<String> {
        let (pattern, in_place) = self.trunk_rule.as_ref()?;
        let found = pattern.get()?.captures(national)?;
        let rest = &national[found.get(0)?.end()..];
        // What comes in place is made of the last group of the prefix: without it, the prefix is dropped.
        let mut number = String::new();
        if found.get(found.len() - 1).is_some() {
            found.expand(in_place, &mut number);
        }
        number.push_str(rest);
        Some(number)
    }
}

fn descriptors(metadata: &Metadata) -> [Option<&Descriptor>; 10] {
    let all = metadata.descriptors();
    [
        all.mobile(),
        all.fixed_line(),
        all.toll_free(),
        all.premium_rate(),
        all.shared_cost(),
        all.personal_number(),
        all.voip(),
        all.pager(),
        all.uan(),
        all.voicemail(),
    ]
}

impl Kind {
    fn new(descriptor: &Descriptor) -> Kind {
        let pattern = Pattern::whole(descriptor.national_number().as_str());
        Kind { lengths: descriptor.possible_length().to_vec(), pattern }
    }

    fn has(&self, national: &str) -> bool {
        let is_long = |length: &u16| usize::from(*length) == national.len();
        (self.lengths.is_empty() || self.lengths.iter().any(is_long))
            && self.pattern.get().is_some_and(|pattern| pattern.is_match(national))
    }
}

impl Pattern {
    fn begin(pattern: &str) -> Pattern {
        Pattern { text: format!("^(?:{pattern})"), compiled: OnceLock::new() }
    }

    fn whole(pattern: &str) -> Pattern {
        Pattern { text: format!("^(?:{pattern})$"), compiled: OnceLock::new() }
    }

    /// The patterns of the metadata are broken over lines. Each of them compiles, as a test shows.
    fn get(&self) -> Option<&Regex> {
        let compile = || RegexBuilder::new(&self.text).ignore_whitespace(true).build().ok();
        self.compiled.get_or_init(compile).as_ref()
    }
}

/// Each example of the metadata: its region, and the number as the region has it.
#[cfg(test)]
pub fn examples() -> Vec<(&'static Metadata, &'static str)> {
    let mut all: Vec<_> = DATABASE
        .iter()
        .flat_map(|metadata| {
            let kinds = descriptors(metadata).into_iter().flatten();
            kinds.filter_map(move |kind| Some((metadata, kind.example()?)))
        })
        .collect();
    all.sort_by_key(|(metadata, example)| (metadata.id(), *example));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn whole((metadata, national): (&Metadata, &str)) -> String {
        format!("{}{national}", metadata.country_code())
    }

    #[test]
    fn the_regions_are_those_of_the_metadata() {
        let letters = || 'A'..='Z';
        let all = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
        for region in all {
            assert_eq!(is_region(&region), DATABASE.by_id(&region).is_some(), "{region}");
        }
        assert!(!is_region("") && !is_region("us") && !is_region("US CA"));
    }

    #[test]
    fn every_example_of_the_metadata_is_a_number() {
        let all = examples();
        assert!(all.len() > 1_000, "{} examples", all.len());
        for example in all {
            assert_eq!(international(&whole(example)), Some(whole(example)));
        }
    }

    #[test]
    fn every_example_is_read_as_it_is_dialled_at_home() {
        let mut ambiguous = BTreeSet::new();
        for (metadata, national) in examples() {
            let region = metadata.id();
            let (number, trunk) = (whole((metadata, national)), metadata.national_prefix());
            let dialled = format!("{}{national}", trunk.unwrap_or_default());
            for digits in [national, &dialled, &number] {
                match in_region(digits, region) {
                    Reading::Ambiguous => drop(ambiguous.insert((region, digits.to_owned()))),
                    read => assert_eq!(read, Reading::Number(number.clone()), "{region} {digits}"),
                }
            }
        }
        let four_thousand = ("BR", "5540041234".to_owned());
        assert_eq!(ambiguous, BTreeSet::from([four_thousand]), "a number in the area 55, too");
    }

    #[test]
    fn every_pattern_compiles() {
        for metadata in DATABASE.iter() {
            let plan = NumberingPlan::new(metadata);
            let kinds = plan.kinds.iter().map(|kind| &kind.pattern);
            let trunk = plan.trunk_rule.iter().map(|(pattern, _)| pattern);
            for pattern in kinds.chain(trunk).chain(&plan.international) {
                assert!(pattern.get().is_some(), "{}: {}", plan.region, pattern.text);
            }
        }
    }

    /// What a message costs depends on it, so countries that share a code are told apart.
    #[test]
    fn a_number_is_of_one_country() {
        for (digits, expected) in [
            ("12025550143", Some("US")),
            ("14165550143", Some("CA")),
            ("18765550143", Some("JM")),
            ("4930901820", Some("DE")),
            ("78005553535", Some("RU")),
            ("77017001234", Some("KZ")),
            ("447400123456", Some("GB")),
            ("447911123456", Some("GG")),
            ("80012345678", None),
            ("000", None),
        ] {
            assert_eq!(region_of(digits).as_deref(), expected, "{digits}");
        }
    }

    #[test]
    fn a_number_with_a_digit_more_or_less_is_only_one_where_the_plan_has_it() {
        for (digits, expected) in [
            ("120255501433", None),
            ("1202555014", None),
            ("91912345678", None),
            ("7916123456", None),
            ("4930901820", Some("4930901820")),
            ("390236618300", Some("390236618300")),
            ("39023661830012", None),
        ] {
            assert_eq!(international(digits).as_deref(), expected, "{digits}");
        }
    }
}
