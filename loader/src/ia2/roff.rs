//! A page of `docs` as a manual page: what they use of Markdown, in the macros of man(7).
//!
//! | Markdown | roff |
//! |---|---|
//! | `# Title` | nothing: the caller has a head |
//! | `## Section` | `.SH` |
//! | code between fences | `.EX`, and not a character of it is changed |
//! | a table | a list: the first cell of a row is its tag; with more than two columns the others have their names |

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The page, from its first section on.
///
/// # Errors
/// What manual pages cannot say, or this does not know how to.
pub(crate) fn page(markdown: &str) -> Result<String, String> {
    let mut page = Page::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        page.add(event)?;
    }
    Ok(page.text)
}

/// Text in which nothing is taken for a request, an escape or a hyphen; `is_first` if it begins a line.
fn escaped(text: &str, is_first: bool) -> String {
    let mut all = String::new();
    if is_first && text.starts_with(['.', '\'']) {
        all.push_str("\\&");
    }
    for char in text.chars() {
        match char {
            '\\' => all.push_str("\\e"),
            '-' => all.push_str("\\-"),
            '\'' => all.push_str("\\(aq"),
            '`' => all.push_str("\\(ga"),
            '^' => all.push_str("\\(ha"),
            '~' => all.push_str("\\(ti"),
            char if char.is_ascii() => all.push(char),
            char => all.push_str(&format!("\\[u{:04X}]", u32::from(char))),
        }
    }
    all
}

/// What is being written.
#[derive(Default)]
struct Page {
    text: String,
    /// Inside of the title.
    is_title: bool,
    /// Inside of a fence.
    is_code: bool,
    /// A section has just begun: there is no `.PP` in front of its first paragraph.
    is_fresh: bool,
    /// The names of a table's columns.
    columns: Vec<String>,
    /// The cells of its row.
    row: Vec<String>,
    /// What stands before the cell that is being written.
    before: String,
}

impl Page {
    fn add(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }) => self.is_title = true,
            Event::End(TagEnd::Heading(HeadingLevel::H1)) => {
                self.is_title = false;
                self.is_fresh = true;
            }
            Event::Text(_) if self.is_title => {}
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                self.text.push_str(".SH ")
            }
            Event::End(TagEnd::Heading(HeadingLevel::H2)) => {
                self.text.push('\n');
                self.is_fresh = true;
            }
            Event::Start(Tag::Paragraph) => self.begin(),
            Event::End(TagEnd::Paragraph) | Event::SoftBreak => self.text.push('\n'),
            Event::Start(Tag::CodeBlock(_)) => {
                self.begin();
                self.text.push_str(".RS 4\n.EX\n");
                self.is_code = true;
            }
            Event::End(TagEnd::CodeBlock) => {
                self.text.push_str(".EE\n.RE\n");
                self.is_code = false;
            }
            Event::Text(text) if self.is_code => {
                for line in text.lines() {
                    self.text.push_str(&(escaped(line, true) + "\n"));
                }
            }
            Event::Text(text) => self.words(&text),
            Event::Code(text) => {
                self.text.push_str("\\fB");
                self.words(&text);
                self.text.push_str("\\fR");
            }
            Event::Start(Tag::Emphasis) => self.text.push_str("\\fI"),
            Event::End(TagEnd::Emphasis) => self.text.push_str("\\fR"),
            Event::Start(Tag::Table(_)) | Event::End(TagEnd::Table) => self.columns.clear(),
            Event::Start(Tag::TableHead | Tag::TableRow) => {}
            Event::Start(Tag::TableCell) => self.before = core::mem::take(&mut self.text),
            Event::End(TagEnd::TableCell) => {
                let before = core::mem::take(&mut self.before);
                self.row.push(core::mem::replace(&mut self.text, before));
            }
            Event::End(TagEnd::TableHead) => self.columns = core::mem::take(&mut self.row),
            Event::End(TagEnd::TableRow) => self.row(),
            other => return Err(format!("a manual page cannot have this: {other:?}")),
        }
        Ok(())
    }

    /// In front of a paragraph.
    fn begin(&mut self) {
        if !core::mem::take(&mut self.is_fresh) {
            self.text.push_str(".PP\n");
        }
    }

    fn words(&mut self, text: &str) {
        let is_first = self.text.is_empty() || self.text.ends_with('\n');
        self.text.push_str(&escaped(text, is_first));
    }

    fn row(&mut self) {
        self.is_fresh = false;
        let mut cells = core::mem::take(&mut self.row).into_iter();
        let tag = cells.next().unwrap_or_default();
        self.text.push_str(&format!(".TP\n{tag}\n"));
        let names = self.columns.iter().skip(1);
        let has_names = names.len() > 1;
        for (at, (name, cell)) in names.zip(cells).enumerate() {
            let line_break = if at > 0 { ".br\n" } else { "" };
            let name = if has_names { format!("{name}: ") } else { String::new() };
            self.text.push_str(&format!("{line_break}{name}{cell}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn what_is_written_is_what_is_read() {
        for (markdown, roff) in [
            (
                "# Title\nA `b-c` *d*,\n.e\n\n'f \\\\ ^",
                "A \\fBb\\-c\\fR \\fId\\fR,\n\\&.e\n.PP\n\\&\\(aqf \\e \\(ha\n",
            ),
            ("## A b\nc\n\nd é", ".SH A b\nc\n.PP\nd \\[u00E9]\n"),
            (
                "```sh\n.a -b 'c'\n\n\\n\n```\n",
                ".PP\n.RS 4\n.EX\n\\&.a \\-b \\(aqc\\(aq\n\n\\en\n.EE\n.RE\n",
            ),
            ("|a|b|\n|-|-|\n|`c \\| d`|.e|\n", ".TP\n\\fBc | d\\fR\n\\&.e\n"),
            ("|a|b|c|\n|-|-|-|\n|1|2|3|\n", ".TP\n1\nb: 2\n.br\nc: 3\n"),
        ] {
            assert_eq!(page(markdown).as_deref(), Ok(roff), "{markdown}");
        }
        for unknown in ["* a list", "[a](b)", "<b>html</b>", "### deep", "---", "**bold**"] {
            assert!(page(unknown).is_err(), "{unknown}");
        }
    }
}
