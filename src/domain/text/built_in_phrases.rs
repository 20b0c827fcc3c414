//! The phrases that rowbell carries, language by language; how they are chosen: see phrases.
//! Sentences avoid the gender of the service, which nobody knows here.

/// The phrases of one language. `{label}`, `{old}`, `{new}`, `{date}`, `{start}` and `{end}` are
/// replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phrases {
    /// A field had another value.
    pub changed: &'static str,
    /// A field had no value.
    pub set: &'static str,
    /// The row is gone.
    pub cancelled: &'static str,
    /// The row is new, and nothing else is to be said of it.
    pub created: &'static str,
    pub yes: &'static str,
    pub no: &'static str,
    /// From one time to another on one day.
    pub window: &'static str,
    /// From one day to another, both included.
    pub days: &'static str,
    /// From one moment to another on different days.
    pub moments: &'static str,
    pub from: &'static str,
    pub until: &'static str,
    /// Between two sentences.
    pub space: &'static str,
}

/// Signs that need no language, for languages without phrases. Only the two sentences have words.
pub const SIGNS: Phrases = Phrases {
    changed: "{label}: {old} → {new}.",
    set: "{label}: {new}.",
    cancelled: "",
    created: "",
    yes: "✓",
    no: "✗",
    window: "{date}, {start}–{end}",
    days: "{start} – {end}",
    moments: "{start} – {end}",
    from: "{start} –",
    until: "– {end}",
    space: " ",
};

/// The languages that rowbell carries.
pub const CARRIED: [(&str, Phrases); 15] = [
    (
        "en",
        Phrases {
            cancelled: "It has been cancelled.",
            created: "It has been registered.",
            yes: "yes",
            no: "no",
            window: "{date} from {start} to {end}",
            days: "from {start} to {end}",
            moments: "from {start} to {end}",
            from: "from {start}",
            until: "until {end}",
            ..SIGNS
        },
    ),
    (
        "es",
        Phrases {
            cancelled: "Se ha cancelado.",
            created: "Se ha registrado.",
            yes: "sí",
            no: "no",
            window: "{date} de {start} a {end}",
            days: "del {start} al {end}",
            moments: "del {start} al {end}",
            from: "desde el {start}",
            until: "hasta el {end}",
            ..SIGNS
        },
    ),
    (
        "fr",
        Phrases {
            changed: "{label} : {old} → {new}.",
            set: "{label} : {new}.",
            cancelled: "L’annulation est confirmée.",
            created: "L’enregistrement est confirmé.",
            yes: "oui",
            no: "non",
            window: "{date} de {start} à {end}",
            days: "du {start} au {end}",
            moments: "du {start} au {end}",
            from: "à partir du {start}",
            until: "jusqu’au {end}",
            ..SIGNS
        },
    ),
    (
        "de",
        Phrases {
            cancelled: "Die Stornierung ist erfolgt.",
            created: "Die Anmeldung ist erfolgt.",
            yes: "ja",
            no: "nein",
            window: "{date} von {start} bis {end} Uhr",
            days: "vom {start} bis zum {end}",
            moments: "vom {start} bis zum {end}",
            from: "ab {start}",
            until: "bis {end}",
            ..SIGNS
        },
    ),
    (
        "pt",
        Phrases {
            cancelled: "O cancelamento foi efetuado.",
            created: "O registro foi efetuado.",
            yes: "sim",
            no: "não",
            window: "{date}, das {start} às {end}",
            days: "de {start} a {end}",
            moments: "de {start} a {end}",
            from: "a partir de {start}",
            until: "até {end}",
            ..SIGNS
        },
    ),
    (
        "it",
        Phrases {
            cancelled: "L’annullamento è confermato.",
            created: "La registrazione è confermata.",
            yes: "sì",
            no: "no",
            window: "{date} dalle {start} alle {end}",
            from: "inizio: {start}",
            until: "fine: {end}",
            ..SIGNS
        },
    ),
    (
        "nl",
        Phrases {
            cancelled: "Dit is geannuleerd.",
            created: "Dit is geregistreerd.",
            yes: "ja",
            no: "nee",
            window: "{date} van {start} tot {end}",
            days: "van {start} tot en met {end}",
            moments: "van {start} tot {end}",
            from: "vanaf {start}",
            until: "uiterlijk {end}",
            ..SIGNS
        },
    ),
    (
        "pl",
        Phrases {
            cancelled: "Anulowano.",
            created: "Zarejestrowano.",
            yes: "tak",
            no: "nie",
            window: "{date} od {start} do {end}",
            days: "od {start} do {end}",
            from: "od {start}",
            until: "do {end}",
            ..SIGNS
        },
    ),
    (
        "ru",
        Phrases {
            cancelled: "Отмена подтверждена.",
            created: "Запись подтверждена.",
            yes: "да",
            no: "нет",
            window: "{date} с {start} до {end}",
            days: "с {start} по {end}",
            from: "с {start}",
            until: "до {end}",
            ..SIGNS
        },
    ),
    (
        "ar",
        Phrases {
            changed: "{label}: {old} ← {new}.",
            cancelled: "تم الإلغاء.",
            created: "تم التسجيل.",
            yes: "نعم",
            no: "لا",
            window: "{date} من {start} إلى {end}",
            days: "من {start} إلى {end}",
            moments: "من {start} إلى {end}",
            from: "ابتداءً من {start}",
            until: "حتى {end}",
            ..SIGNS
        },
    ),
    (
        "hi",
        Phrases {
            changed: "{label}: {old} → {new}।",
            set: "{label}: {new}।",
            cancelled: "इसे रद्द कर दिया गया है।",
            created: "इसे दर्ज कर लिया गया है।",
            yes: "हाँ",
            no: "नहीं",
            window: "{date} को {start} से {end} तक",
            days: "{start} से {end} तक",
            moments: "{start} से {end} तक",
            from: "{start} से",
            until: "{end} तक",
            ..SIGNS
        },
    ),
    (
        "id",
        Phrases {
            cancelled: "Telah dibatalkan.",
            created: "Telah didaftarkan.",
            yes: "ya",
            no: "tidak",
            window: "{date} pukul {start} sampai {end}",
            days: "{start} sampai {end}",
            moments: "{start} sampai {end}",
            from: "mulai {start}",
            until: "sampai {end}",
            ..SIGNS
        },
    ),
    (
        "ja",
        Phrases {
            changed: "{label}：{old} → {new}。",
            set: "{label}：{new}。",
            cancelled: "キャンセルされました。",
            created: "登録されました。",
            yes: "はい",
            no: "いいえ",
            window: "{date} {start}～{end}",
            days: "{start}～{end}",
            moments: "{start}～{end}",
            from: "{start}から",
            until: "{end}まで",
            space: "",
        },
    ),
    (
        "zh",
        Phrases {
            changed: "{label}：{old} → {new}。",
            set: "{label}：{new}。",
            cancelled: "已取消。",
            created: "已登记。",
            yes: "是",
            no: "否",
            window: "{date} {start}至{end}",
            days: "{start}至{end}",
            moments: "{start}至{end}",
            from: "{start}起",
            until: "截至{end}",
            space: "",
        },
    ),
    (
        "zh-Hant",
        Phrases {
            changed: "{label}：{old} → {new}。",
            set: "{label}：{new}。",
            cancelled: "已取消。",
            created: "已登記。",
            yes: "是",
            no: "否",
            window: "{date} {start}至{end}",
            days: "{start}至{end}",
            moments: "{start}至{end}",
            from: "{start}起",
            until: "截至{end}",
            space: "",
        },
    ),
];
