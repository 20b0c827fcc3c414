//! The source of a template: what it names, and where its operators stand.

use std::collections::BTreeSet;

/// The filter that gives operators the value itself instead of its text; see column_value.
pub const OPERAND: &str = "operand";

/// Filters that calculate or sort: they need the value itself.
const CALCULATING: [&str; 10] =
    ["int", "float", "round", "abs", "bool", "sum", "min", "max", "sort", "tojson"];
const OPERATORS: [&str; 13] =
    ["==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "//", "%", "**"];
/// Words of MiniJinja that are no variables.
const WORDS: [&str; 32] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "filter",
    "endfilter",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "with",
    "endwith",
    "do",
    "recursive",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "raw",
    "endraw",
    "block",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenKind {
    Name,
    Number,
    Text,
    Sign,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    kind: TokenKind,
    text: &'a str,
    /// Bytes from the beginning of the template.
    at: usize,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.at + self.text.len()
    }

    fn is(&self, sign: &str) -> bool {
        self.kind != TokenKind::Text && self.text == sign
    }

    /// Whether an operand may end here.
    fn ends_operand(&self) -> bool {
        self.is(")") || self.is("]") || self.is_variable()
    }

    fn is_variable(&self) -> bool {
        self.kind == TokenKind::Name && !WORDS.contains(&self.text)
    }
}

/// The tokens of each block, `{{ … }}` or `{% … %}`. What is raw, and what is a comment, is text.
fn blocks(template: &str) -> Vec<Vec<Token<'_>>> {
    let mut blocks: Vec<Vec<Token<'_>>> = Vec::new();
    let mut at = 0;
    while let Some(open) = template[at..].find('{').map(|found| at + found) {
        let rest = &template[open..];
        if rest.starts_with("{#") {
            at = rest.find("#}").map_or(template.len(), |end| open + end + 2);
        } else if rest.starts_with("{{") || rest.starts_with("{%") {
            let close = if rest.starts_with("{{") { "}}" } else { "%}" };
            let (tokens, end) = block(template, open + 2, close);
            at = end;
            if tokens.first().is_some_and(|token| token.is("raw")) {
                at = template[at..].find("endraw").map_or(template.len(), |end| at + end);
            }
            blocks.push(tokens);
        } else {
            at = open + 1;
        }
    }
    blocks
}

/// The tokens from `at` to the end of the block, and where that is.
fn block<'a>(template: &'a str, mut at: usize, close: &str) -> (Vec<Token<'a>>, usize) {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    // The sign that takes white space away belongs to the braces.
    at += usize::from(template[at..].starts_with(['-', '+']));
    while let Some(c) = template[at..].chars().next() {
        let rest = &template[at..];
        let trimmed = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if depth == 0 && trimmed.starts_with(close) {
            return (tokens, template.len() - trimmed.len() + close.len());
        }
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let token = token(rest, c);
        if let Some((kind, length)) = token {
            tokens.push(Token { kind, text: &rest[..length], at });
        }
        at += token.map_or(c.len_utf8(), |(_, length)| length);
    }
    (tokens, at)
}

/// Kind and length of the token that begins here; None: white space.
fn token(rest: &str, first: char) -> Option<(TokenKind, usize)> {
    let length_of = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
    match first {
        _ if first.is_whitespace() => None,
        '"' | '\'' => Some((TokenKind::Text, quoted_length(rest, first))),
        _ if first.is_ascii_digit() => {
            Some((TokenKind::Number, length_of(|c| c.is_ascii_digit() || c == '_')))
        }
        _ if first.is_alphanumeric() || first == '_' => {
            Some((TokenKind::Name, length_of(|c| c.is_alphanumeric() || c == '_')))
        }
        _ => {
            let is_two = rest.get(..2).is_some_and(|two| OPERATORS.contains(&two));
            Some((TokenKind::Sign, if is_two { 2 } else { first.len_utf8() }))
        }
    }
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The filters that a template names. MiniJinja looks for them only when it renders, and a message that cannot be
/// rendered is lost.
pub fn named_filters(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for tokens in blocks(template) {
        for (place, token) in tokens.iter().enumerate().filter(|(_, token)| token.is("|")) {
            let name = tokens.get(place + 1).filter(|next| next.kind == TokenKind::Name);
            names.push(name.map_or(&template[token.end()..token.end()], |name| name.text));
        }
    }
    names
}

/// How a template uses a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariableUse<'a> {
    /// By itself.
    pub is_bare: bool,
    /// Its members that are named: `row.status`, `row["status"]`.
    pub members: Vec<&'a str>,
    /// Whether members are named at all, if only by an expression.
    pub has_members: bool,
}

/// How a template uses a variable.
pub fn use_of<'a>(template: &'a str, variable: &str) -> VariableUse<'a> {
    let mut found = VariableUse::default();
    for tokens in blocks(template) {
        for (place, token) in tokens.iter().enumerate() {
            let before = place.checked_sub(1).and_then(|before| tokens.get(before));
            let is_other = before.is_some_and(|before| before.is(".") || before.is("|"));
            let next = |more: usize| tokens.get(place + more);
            if !token.is(variable) || is_other || next(1).is_some_and(|next| next.is("=")) {
                continue;
            }
            let member = next(2).map(|member| member.text.trim_matches(['"', '\'']));
            match next(1) {
                Some(dot) if dot.is(".") => {
                    found.has_members = true;
                    found.members.extend(member);
                }
                Some(open) if open.is("[") => {
                    found.has_members = true;
                    let is_text = next(2).is_some_and(|name| name.kind == TokenKind::Text)
                        && next(3).is_some_and(|close| close.is("]"));
                    found.members.extend(member.filter(|_| is_text));
                }
                _ => found.is_bare = true,
            }
        }
    }
    found
}

/// The template with its operands marked: `fee > 10` compares the number, not the text that `fee` is written as.
pub fn with_operands(template: &str) -> String {
    let mut places = BTreeSet::new();
    for tokens in blocks(template) {
        mark(&tokens, &mut places);
    }
    let mut marked = String::with_capacity(template.len() + places.len() * (OPERAND.len() + 1));
    let mut from = 0;
    for place in places {
        marked.push_str(&template[from..place]);
        marked.push('|');
        marked.push_str(OPERAND);
        from = place;
    }
    marked + &template[from..]
}

/// Where the operands of a block end.
fn mark(tokens: &[Token<'_>], places: &mut BTreeSet<usize>) {
    // The first `in` of a loop is no operator.
    let mut is_loop = tokens.first().is_some_and(|token| token.is("for"));
    for (place, token) in tokens.iter().enumerate() {
        if token.is("in") && is_loop {
            is_loop = false;
            continue;
        }
        let is_word = token.is("in") || token.is("is");
        let is_sign = token.kind == TokenKind::Sign && OPERATORS.contains(&token.text);
        let next = tokens.get(place + 1);
        let calculates = token.is("|") && next.is_some_and(|name| CALCULATING.contains(&name.text));
        if !(is_word || is_sign || calculates) {
            continue;
        }
        let mut before = place.checked_sub(1);
        if token.is("in") && before.is_some_and(|at| tokens[at].is("not")) {
            before = before.and_then(|at| at.checked_sub(1));
        }
        let left = before.map(|at| &tokens[at]).filter(|left| left.ends_operand());
        places.extend(left.map(Token::end));
        if token.is("in") || is_sign {
            places.extend(right_end(&tokens[place + 1..]));
        }
    }
}

/// Where the operand ends that stands behind an operator; None where it is written out.
fn right_end(tokens: &[Token<'_>]) -> Option<usize> {
    let signs = tokens.iter().take_while(|t| t.is("-") || t.is("+") || t.is("not")).count();
    let tokens = &tokens[signs..];
    let first = tokens.first()?;
    if !(first.is("(") || first.is_variable()) {
        return None;
    }
    let mut last = if first.is("(") { closing(tokens, 0)? } else { 0 };
    loop {
        let next = tokens.get(last + 1);
        last = match next {
            Some(next) if next.is(".") || next.is("|") => last + 2,
            Some(next) if next.is("[") || next.is("(") => closing(tokens, last + 1)?,
            _ => return tokens.get(last).map(Token::end),
        };
    }
}

/// The bracket that closes the one at `open`.
fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        if token.is("(") || token.is("[") || token.is("{") {
            depth += 1;
        } else if token.is(")") || token.is("]") || token.is("}") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return Some(place);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_found_where_they_are_applied_and_nowhere_else() {
        assert_eq!(
            named_filters("{{ a | date }} or {{ b|time(\"second\") | upper}}"),
            ["date", "time", "upper"]
        );
        assert_eq!(named_filters("{% if a | list %}x | y{% endif %}"), ["list"]);
        assert_eq!(named_filters("a | b {{ '|' ~ \"x | y\" }} {# | z #} {{ é | trim }}"), ["trim"]);
        assert_eq!(named_filters("{% raw %}{{ a | b }}{% endraw %}{{ c | d }}"), ["d"]);
        assert_eq!(named_filters("{{ a |"), [""]);
    }

    #[test]
    fn a_variable_is_used_by_itself_or_by_its_members() {
        let used = |template, is_bare, members: &[&'static str], has_members| {
            let expected = VariableUse { is_bare, members: members.to_vec(), has_members };
            assert_eq!(use_of(template, "row"), expected, "{template}");
        };
        used("Row {{ row }}", true, &[], false);
        used("{{ row.status }} {{ row[\"a b\"] }}", false, &["status", "a b"], true);
        used("{{ row[name] }}", false, &[], true);
        used("{{ old.row }} {{ x | row }} {{ f(row=1) }} row {{ 'row' }}", false, &[], false);
    }

    #[test]
    fn operands_are_marked_wherever_an_operator_stands() {
        let marked = |template: &str| with_operands(template).replace("|operand", "°");
        for (template, expected) in [
            ("{{ a ~ b | upper }} - {{ c }}", "{{ a ~ b | upper }} - {{ c }}"),
            ("{% if fee > 10 and x.y == old.y %}", "{% if fee° > 10 and x.y° == old.y° %}"),
            ("{% if not a in b %}", "{% if not a° in b° %}"),
            ("{% if a not in ['x'] %}", "{% if a° not in ['x'] %}"),
            ("{% for x in xs if x.a != none %}", "{% for x in xs if x.a° != none %}"),
            ("{%- if a is none -%}", "{%- if a° is none -%}"),
            ("{{ (a if b else c) * d[0]|round(2) }}", "{{ (a if b else c)° * d[0]°|round(2)° }}"),
            ("{{ -a - -b }}", "{{ -a° - -b° }}"),
            ("{{ 'a == b' ~ {'x': {'y': a}} }}", "{{ 'a == b' ~ {'x': {'y': a}} }}"),
            ("{% set x = a %}{{ f(a, b=c) }}", "{% set x = a %}{{ f(a, b=c) }}"),
            ("{{ a | default('x', true) == 'x' }}", "{{ a | default('x', true)° == 'x' }}"),
            ("{{ fee | round(2) }}", "{{ fee° | round(2) }}"),
            ("{{ loop.index % 2 == 0 }}", "{{ loop.index° % 2 == 0 }}"),
        ] {
            assert_eq!(marked(template), expected);
        }
    }
}
