//! Pages, taken apart: blocks, spans of code, links, headings.

use std::fs;
use std::path::{Path, PathBuf};

/// The pages in the root; those of `docs/` and `lab/` come besides.
const IN_ROOT: [&str; 4] = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub struct Page {
    /// Path below the root.
    pub name: String,
    pub text: String,
}

/// What stands between two fences.
pub struct Block {
    pub language: String,
    pub text: String,
    /// Where it stands, for whoever has to mend it.
    pub place: String,
}

/// A page by its path.
pub fn page(name: &str) -> Page {
    let text = fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    Page { name: name.to_owned(), text }
}

/// All pages, in a fixed order.
pub fn pages() -> Vec<Page> {
    let mut names: Vec<String> = IN_ROOT.iter().map(|name| (*name).to_owned()).collect();
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut below: Vec<String> = docs
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| path.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    below.sort();
    names.extend(below);
    names.push("lab/README.md".to_owned());
    names.iter().map(|name| page(name)).collect()
}

impl Page {
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in self.text.lines().enumerate() {
            let Some(language) = line.strip_prefix("```") else {
                if let Some(block) = &mut open {
                    block.text += line;
                    block.text.push('\n');
                }
                continue;
            };
            match open.take() {
                Some(block) => blocks.push(block),
                None => {
                    let place = format!("{}:{}", self.name, number + 1);
                    let (language, text) = (language.trim().to_owned(), String::new());
                    open = Some(Block { language, text, place });
                }
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", self.name);
        blocks
    }

    /// The blocks in one language.
    pub fn blocks_in(&self, language: &str) -> Vec<Block> {
        let mut blocks = self.blocks();
        blocks.retain(|block| block.language == language);
        blocks
    }

    /// The text without blocks: neither fenced nor indented.
    fn prose(&self) -> String {
        let mut is_open = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            let is_fence = line.starts_with("```");
            is_open ^= is_fence;
            if !is_open && !is_fence && !line.starts_with("    ") {
                prose += line;
            }
            prose.push('\n');
        }
        prose
    }

    /// What stands between backticks. A span may go on in the next line.
    pub fn spans(&self) -> Vec<String> {
        let prose = self.prose();
        let paragraphs = prose.split("\n\n");
        let spans = paragraphs.flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
        spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The targets of links.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.map(str::to_owned).collect()
    }

    /// What a link may name behind `#`.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    /// The part below a heading, up to the next one of its level.
    pub fn section(&self, heading: &str) -> String {
        let level = heading.split(' ').next().unwrap();
        let after = self.text.split(&format!("{heading}\n")).nth(1);
        let after = after.unwrap_or_else(|| panic!("{} has no \"{heading}\"", self.name));
        after.split(&format!("\n{level} ")).next().unwrap().to_owned()
    }

    /// A path that the page names, seen from the page.
    pub fn beside(&self, path: &str) -> PathBuf {
        let page = root().join(&self.name);
        page.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// As the places do where such pages are read: lower case, blanks as hyphens, signs left out.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}
