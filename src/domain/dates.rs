//! Dates and times in the recipient's locale and time zone.
