//! Who is told: name, phone, locale, time zone, consent.
