//! What `rowbell suggest` sees of a database: tables, their keys, and what their names give away.

use crate::domain::value::column_kind::ColumnKind;

/// A table of the business.
#[derive(Clone, Debug, Default)]
pub struct SurveyTable {
    pub oid: u32,
    /// Quoted and qualified.
    pub quoted: String,
    pub name: String,
    pub columns: Vec<SurveyColumn>,
    /// The primary key.
    pub key: Vec<String>,
    /// Columns of other unique indexes.
    pub uniques: Vec<Vec<String>>,
    pub links: Vec<Link>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct SurveyColumn {
    pub name: String,
    /// As it stands in SQL.
    pub quoted: String,
    /// As `format_type` writes it; of a domain, its base.
    pub type_name: String,
    pub is_nullable: bool,
    pub is_generated: bool,
    /// Labels of an enum; of a column of codes, the values that were seen.
    pub values: Vec<String>,
    pub is_enum: bool,
    /// Of a moment: whether some row has one that lies ahead. None: no row has any.
    pub lies_ahead: Option<bool>,
    /// A state of a country, as a part of an address.
    pub is_postal_state: bool,
}

/// A foreign key, or what its name says is one.
#[derive(Clone, Debug)]
pub struct Link {
    pub columns: Vec<String>,
    pub to: u32,
    pub to_columns: Vec<String>,
    pub is_declared: bool,
}

/// Names of columns with a phone, the likeliest first.
const PHONES: [&str; 12] = [
    "whatsapp",
    "msisdn",
    "mobile",
    "cell",
    "handy",
    "celular",
    "movil",
    "phone",
    "telefon",
    "telephone",
    "contactnumber",
    "tel",
];
const NAMES: [&str; 18] = [
    "firstname",
    "givenname",
    "forename",
    "fullname",
    "displayname",
    "customername",
    "clientname",
    "contactname",
    "patientname",
    "guestname",
    "vorname",
    "prenom",
    "nombrecompleto",
    "nombre",
    "nomecompleto",
    "nome",
    "name",
    "username",
];
/// Columns that hold a person's own phone and nothing else, whatever other phones there are: of those, the first that
/// is filled is taken.
const OWN_PHONES: [&str; 18] = [
    "whatsapp",
    "whatsappnumber",
    "mobile",
    "mobilenumber",
    "mobilephone",
    "cell",
    "cellphone",
    "handy",
    "celular",
    "movil",
    "phone",
    "phonenumber",
    "telefon",
    "telefono",
    "telefone",
    "telephone",
    "contactnumber",
    "tel",
];
const LOCALES: [&str; 8] = [
    "locale",
    "preferredlocale",
    "language",
    "lang",
    "preferredlanguage",
    "languagecode",
    "idioma",
    "sprache",
];
const ZONES: [&str; 5] = ["timezone", "tz", "timezonename", "preferredtimezone", "zoneinfo"];
/// What a contact is and what it is reached by, in a table that has a row for each phone and mail address of a person.
const CONTACT_KINDS: [&str; 8] =
    ["type", "kind", "contacttype", "channel", "medium", "contacttypecode", "category", "system"];
const CONTACT_VALUES: [&str; 9] = [
    "value",
    "number",
    "contact",
    "contactvalue",
    "phonenumber",
    "phone",
    "address",
    "identifier",
    "detail",
];
/// Kinds of contacts that WhatsApp may reach, the likeliest first.
const PHONE_KINDS: [&str; 6] = ["whatsapp", "mobile", "cell", "handy", "movil", "phone"];
/// Parts of an address beside a state.
const ADDRESS_PARTS: [&str; 14] = [
    "zip",
    "zipcode",
    "postcode",
    "postalcode",
    "city",
    "town",
    "street",
    "country",
    "ciudad",
    "cidade",
    "municipio",
    "codigopostal",
    "cep",
    "calle",
];
/// Words of a moment that lies behind when the row is made.
const PAST: [&str; 35] = [
    "birth",
    "birthday",
    "birthdate",
    "dob",
    "born",
    "login",
    "signin",
    "seen",
    "activity",
    "placed",
    "invoice",
    "invoiced",
    "issued",
    "registered",
    "registration",
    "joined",
    "signup",
    "hired",
    "purchased",
    "ordered",
    "received",
    "submitted",
    "sent",
    "paid",
    "held",
    "taken",
    "done",
    "made",
    "met",
    "left",
    "lost",
    "found",
    "sold",
    "bought",
    "begun",
];
/// What says that a row is gone although it is there.
const SOFT_DELETES: [&str; 7] =
    ["deletedat", "deletedon", "deleted", "isdeleted", "softdeleted", "removedat", "isremoved"];
const EMAILS: [&str; 3] = ["email", "emailaddress", "mail"];
/// How columns of codes are called.
const STATUSES: [&str; 10] = [
    "status", "state", "stage", "phase", "step", "estado", "estatus", "situacao", "statut",
    "zustand",
];
/// Who is told, and who is not, by the name of a foreign key or table.
const CUSTOMERS: [&str; 16] = [
    "customer",
    "client",
    "patient",
    "guest",
    "recipient",
    "buyer",
    "member",
    "passenger",
    "student",
    "subscriber",
    "tenant",
    "attendee",
    "contact",
    "person",
    "user",
    "account",
];
/// Those of them that may be on either side.
const OF_EITHER_SIDE: [&str; 5] = ["member", "contact", "person", "user", "account"];
const STAFF: [&str; 16] = [
    "doctor",
    "driver",
    "agent",
    "employee",
    "staff",
    "clinician",
    "provider",
    "technician",
    "manager",
    "courier",
    "practitioner",
    "createdby",
    "updatedby",
    "assigned",
    "seller",
    "teacher",
];

impl SurveyTable {
    pub fn column(&self, name: &str) -> Option<&SurveyColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column that is most likely a phone, and how likely: 0 is best.
    pub fn phone(&self) -> Option<(&SurveyColumn, usize)> {
        self.phones().into_iter().next()
    }

    /// That column, and others that hold the same person's own phone.
    pub fn own_phones(&self) -> Vec<&SurveyColumn> {
        let is_own = |column: &SurveyColumn| OWN_PHONES.contains(&plain(&column.name).as_str());
        let mut phones = self.phones().into_iter().map(|(column, _)| column);
        let first: Vec<&SurveyColumn> = phones.next().into_iter().collect();
        let is_first_own = first.iter().all(|column| is_own(column));
        first.into_iter().chain(phones.filter(|column| is_first_own && is_own(column))).collect()
    }

    fn phones(&self) -> Vec<(&SurveyColumn, usize)> {
        let rank = |column: &SurveyColumn| {
            let name = plain(&column.name);
            let fits = column.is_text() || column.type_name == "bigint";
            let no = ["verif", "confirm", "type", "ext", "country", "code"];
            let is_other = no.iter().any(|word| name.contains(word)) || name.ends_with("id");
            let found = PHONES.iter().position(|phone| {
                if phone.len() > 4 { name.contains(phone) } else { name.starts_with(phone) }
            });
            found.filter(|_| fits && !is_other)
        };
        let ranked = self.columns.iter().filter_map(|column| Some((column, rank(column)?)));
        let mut ranked: Vec<(&SurveyColumn, usize)> = ranked.collect();
        ranked.sort_by_key(|(_, rank)| *rank);
        ranked
    }

    fn first_of(&self, names: &[&str]) -> Option<&SurveyColumn> {
        let named = |wanted: &&str| {
            self.columns.iter().find(|column| plain(&column.name) == **wanted && column.is_text())
        };
        names.iter().find_map(named)
    }

    pub fn name_column(&self) -> Option<&SurveyColumn> {
        self.first_of(&NAMES)
    }

    pub fn locale(&self) -> Option<&SurveyColumn> {
        self.first_of(&LOCALES)
    }

    pub fn zone(&self) -> Option<&SurveyColumn> {
        self.first_of(&ZONES)
    }

    /// A column with a mail address.
    pub fn email(&self) -> Option<&SurveyColumn> {
        self.columns.iter().find(|column| column.is_address() && column.is_text())
    }

    /// What a row of this table holds for a person: the column with the phone, and the condition under which it is one.
    /// None: it is no table of contacts.
    pub fn contact(&self) -> Option<(&SurveyColumn, &SurveyColumn)> {
        let named = |names: &[&str]| {
            let fits = |wanted: &&str| {
                let is_it = |c: &&SurveyColumn| plain(&c.name) == **wanted;
                self.columns.iter().find(is_it).filter(|c| c.is_text() || c.is_enum)
            };
            names.iter().find_map(fits)
        };
        let kind = named(&CONTACT_KINDS)?;
        let value =
            named(&CONTACT_VALUES).filter(|value| value.is_text() && value.name != kind.name)?;
        // Without rows, only the name of the table tells that it is about contacts.
        let name = plain(&self.name);
        let is_named = ["contact", "phone", "communication"].iter().any(|word| name.contains(word));
        let is_phone = match kind.values.is_empty() {
            true => is_named,
            false => !kind.phone_kinds().is_empty(),
        };
        (is_phone && self.email().is_none()).then_some((value, kind))
    }

    /// The column that says of a row that it is gone although it is there.
    pub fn soft_delete(&self) -> Option<&SurveyColumn> {
        self.columns.iter().find(|column| column.is_soft_delete())
    }

    /// Whether a column is a state of a country: it stands among parts of an address.
    pub fn is_postal_state(&self, column: &SurveyColumn) -> bool {
        let name = plain(&column.name);
        let Some(prefix) = ["state", "stateprovince", "statecode", "estado"]
            .iter()
            .find_map(|state| name.strip_suffix(state))
        else {
            return false;
        };
        let is_part = |other: &SurveyColumn| {
            let other = plain(&other.name);
            ADDRESS_PARTS.iter().any(|part| other == format!("{prefix}{part}"))
        };
        let is_word =
            |value: &String| value.chars().count() > 3 && value.chars().all(char::is_lowercase);
        column.is_text()
            && !column.is_enum
            && self.columns.iter().any(is_part)
            && !column.values.iter().any(is_word)
    }

    /// What a row of this table is called, for others that point to it.
    pub fn title(&self) -> Option<&SurveyColumn> {
        self.first_of(&["fullname", "displayname", "name", "title", "label", "firstname"])
    }

    /// SQL that says whether the person agreed, from a column of this table that seems to say so.
    pub fn consent(&self, alias: &str) -> Option<String> {
        let rank = |column: &SurveyColumn| {
            let name = plain(&column.name);
            let is_yes = ["optin", "optedin", "consent", "acceptswhatsapp", "whatsappallowed"]
                .iter()
                .any(|word| name.contains(word));
            let is_no = ["optout", "optedout", "unsubscribed", "donotcontact"]
                .iter()
                .any(|word| name.contains(word));
            let is_whatsapp = name.contains("whatsapp");
            let other =
                ["sms", "email", "newsletter", "push"].iter().any(|word| name.contains(word));
            let column = format!("{alias}.{}", column.quoted);
            ((is_yes || is_no) && !other).then_some((is_whatsapp, is_no, column))
        };
        let found = self.columns.iter().filter_map(|c| Some((c, rank(c)?)));
        let (column, (_, is_no, sql)) =
            found.max_by_key(|(_, (is_whatsapp, _, _))| *is_whatsapp)?;
        match (ColumnKind::of(&column.type_name), is_no) {
            (ColumnKind::Bool, false) => Some(sql),
            (ColumnKind::Bool, true) => Some(format!("not {sql}")),
            (ColumnKind::Timestamp | ColumnKind::TimestampTz | ColumnKind::Date, false) => {
                Some(format!("{sql} is not null"))
            }
            (ColumnKind::Timestamp | ColumnKind::TimestampTz | ColumnKind::Date, true) => {
                Some(format!("{sql} is null"))
            }
            _ => None,
        }
    }
}

impl SurveyColumn {
    pub fn kind(&self) -> ColumnKind {
        if self.is_enum { ColumnKind::Text } else { ColumnKind::of(&self.type_name) }
    }

    pub fn is_text(&self) -> bool {
        matches!(self.kind(), ColumnKind::Text | ColumnKind::Caseless | ColumnKind::Padded)
            && self.type_name != "uuid"
    }

    /// Whether it is a code with few values, such as a status.
    pub fn is_code(&self) -> bool {
        let name = plain(&self.name);
        let is_status = STATUSES.iter().any(|word| name.ends_with(word));
        self.is_enum
            || (is_status
                && !self.is_postal_state
                && (self.is_text() || matches!(self.kind(), ColumnKind::Number { .. })))
    }

    /// Whether its name says that the moment lies behind when the row is made.
    pub fn is_past(&self) -> bool {
        let name = words(&self.name);
        let is_order_date = name.len() == 2 && name.iter().all(|w| w == "order" || w == "date");
        let is_last = name.first().is_some_and(|first| first == "last" || first == "since");
        is_order_date || is_last || name.iter().any(|word| PAST.contains(&word.as_str()))
    }

    pub fn is_moment(&self) -> bool {
        match self.kind() {
            ColumnKind::TimestampTz | ColumnKind::Timestamp | ColumnKind::Date => true,
            ColumnKind::Range(inner) => {
                matches!(*inner, ColumnKind::TimestampTz | ColumnKind::Timestamp | ColumnKind::Date)
            }
            _ => false,
        }
    }

    pub fn is_soft_delete(&self) -> bool {
        let is_moment = matches!(self.kind(), ColumnKind::TimestampTz | ColumnKind::Timestamp);
        SOFT_DELETES.contains(&plain(&self.name).as_str())
            && (is_moment || self.kind() == ColumnKind::Bool)
    }

    /// SQL that is true while the row is there.
    pub fn is_there(&self, alias: &str) -> String {
        match self.kind() {
            ColumnKind::Bool => format!("{alias}.{} is not true", self.quoted),
            _ => format!("{alias}.{} is null", self.quoted),
        }
    }

    /// The values that stand for phones, the likeliest first.
    pub fn phone_kinds(&self) -> Vec<&str> {
        let of = |word: &&'static str| {
            let fits = move |value: &&String| plain(value).contains(*word);
            self.values.iter().filter(fits).map(String::as_str).collect::<Vec<_>>()
        };
        let mut kinds: Vec<&str> = Vec::new();
        for kind in PHONE_KINDS.iter().flat_map(of) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    pub fn is_address(&self) -> bool {
        EMAILS.contains(&plain(&self.name).as_str())
    }
}

/// How likely a name means the one who is told: lower is likelier.
pub fn person_rank(name: &str) -> usize {
    let name = plain(name);
    if STAFF.iter().any(|word| name.contains(word)) {
        return 100;
    }
    CUSTOMERS.iter().position(|word| name.contains(word)).unwrap_or(50)
}

/// Whether a name means a customer and nobody else: a user may be whoever serves them.
pub fn is_customer(name: &str) -> bool {
    CUSTOMERS.get(person_rank(name)).is_some_and(|word| !OF_EITHER_SIDE.contains(word))
}

/// Whether a name means who pays, which may be somebody else than who is concerned.
pub fn is_payer(name: &str) -> bool {
    words(name).iter().any(|word| matches!(word.as_str(), "bill" | "billing" | "invoice" | "payer"))
}

/// Letters and digits in lower case: `"phoneNumber"` and `phone_number` are the same.
pub fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The words of a name: `windowStart`, `window_start` and `WindowStart` are `window`, `start`.
pub fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let is_break = !c.is_alphanumeric() || (c.is_uppercase() && was_lower);
        if is_break && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// One of what a table holds many of: `deliveries` holds a `delivery`.
pub fn singular(word: &str) -> String {
    for (many, one) in [("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x")]
    {
        if let Some(stem) = word.strip_suffix(many) {
            return format!("{stem}{one}");
        }
    }
    match word.strip_suffix('s') {
        Some(stem) if !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_whatever_their_style() {
        assert_eq!(words("windowStart"), ["window", "start"]);
        assert_eq!(words("window_start"), ["window", "start"]);
        assert_eq!(words("AppointmentStatus"), ["appointment", "status"]);
        assert_eq!(words("customerID"), ["customer", "id"]);
        assert_eq!(singular("deliveries"), "delivery");
        assert_eq!(singular("addresses"), "address");
        assert_eq!(singular("status"), "status");
        assert_eq!(singular("orders"), "order");
    }
}
