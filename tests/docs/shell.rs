//! Reads commands as a shell does, as far as the pages need it: words, quotes, comments, and what ends a
//! command.

/// The commands of a block, each as its words. Variables that are set for a command are left out.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\'' | '"' => {
                let quoted: String = characters.by_ref().take_while(|next| *next != c).collect();
                word.get_or_insert_default().push_str(&quoted);
            }
            '\\' => match characters.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            '#' if word.is_none() => while characters.next_if(|next| *next != '\n').is_some() {},
            '\n' | ';' | '|' | '&' => {
                words.extend(word.take());
                if !words.is_empty() {
                    commands.push(std::mem::take(&mut words));
                }
            }
            ' ' | '\t' => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    if !words.is_empty() {
        commands.push(words);
    }
    for words in &mut commands {
        let is_variable =
            |word: &String| word.split_once('=').is_some_and(|(name, _)| is_name(name));
        let variables = words.iter().take_while(|word| is_variable(word)).count();
        words.drain(..variables);
    }
    commands.retain(|words| !words.is_empty());
    commands
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn words_are_those_of_a_shell() {
    let text = "A_B=1 a 'b c' d=\"e f\" # g\nh \\\n  i && j | k; l '{\n}'\n\n# m\n";
    let expected: [&[&str]; 5] =
        [&["a", "b c", "d=e f"], &["h", "i"], &["j"], &["k"], &["l", "{\n}"]];
    assert_eq!(commands(text), expected);
}
