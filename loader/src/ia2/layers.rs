//! Policies as they are given on a command line: built-in ones by name, files by path.

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};
use ia2_core::blob::{self, Blob};
use ia2_policy::compile::{Compiled, compile};
use ia2_policy::diag::{Diagnostic, Severity};
use ia2_policy::policy::{Policy, Source};
use ia2_policy::source::{self, BUILT_IN, Sources, Text, Unreadable};
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;

/// A policy that was read, with what there is to say about it.
pub(crate) struct Loaded {
    /// `None` if there are errors.
    pub(crate) policy: Option<Policy>,
    pub(crate) findings: Vec<Diagnostic>,
    pub(crate) sources: Vec<Source>,
    /// It is no text, but was compiled before.
    compiled: Option<Vec<u8>>,
}

/// Reads a policy: a built-in one by its name, or a file. A `test` is put behind its text.
pub(crate) fn load(name: &str, test: Option<&str>) -> Loaded {
    let mut files = Files { test: test.map(str::to_owned), ..Files::default() };
    let built_in = !name.contains(['/', '.']);
    let full = if built_in { format!("{BUILT_IN}{name}") } else { name.to_owned() };
    let (policy, findings, sources) = ia2_policy::load(&full, &mut files);
    Loaded { policy, findings, sources, compiled: files.compiled }
}

impl Loaded {
    /// Compiles it; what is wrong is added to the findings.
    pub(crate) fn compile(&mut self) -> Option<Compiled> {
        match compile(self.policy.as_ref()?) {
            Ok(compiled) => {
                self.findings.extend(compiled.warnings.iter().cloned());
                Some(compiled)
            }
            Err(findings) => {
                self.findings.extend(findings);
                None
            }
        }
    }

    /// The policy; what is wrong with it is drawn on stderr.
    pub(crate) fn or_draw(&self) -> Option<&Policy> {
        self.draw_errors();
        self.policy.as_ref()
    }

    /// Draws what is wrong on stderr.
    fn draw_errors(&self) {
        let errors = self.findings.iter().filter(|one| one.severity == Severity::Error);
        errors.for_each(|one| eprintln!("{}", draw(one, &self.sources)));
    }
}

/// Draws a finding as rustc does.
pub(crate) fn draw(finding: &Diagnostic, sources: &[Source]) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group =
        level.primary_title(&finding.message).id(finding.code.0).elements([] as [Element<'_>; 0]);
    let primary = core::iter::once((finding.span, finding.label.as_str(), AnnotationKind::Primary));
    let related = finding.related.iter();
    let related = related.map(|(span, label)| (*span, label.as_str(), AnnotationKind::Context));
    for (span, label, kind) in primary.chain(related) {
        let Some(source) = sources.get(usize::from(span.file)) else { continue };
        let range = span.start as usize..(span.end as usize).min(source.text.len());
        let annotation = kind.span(range).label(label);
        group =
            group.element(Snippet::source(&source.text).path(&source.name).annotation(annotation));
    }
    if !finding.help.is_empty() {
        group = group.element(Level::HELP.message(&finding.help));
    }
    let styled = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// The compiled form of a policy; what is wrong with it is said on stderr. `base` has none.
///
/// # Errors
/// Why there is none, in a few words.
pub(crate) fn compiled(name: &str) -> Result<Option<Vec<u8>>, String> {
    if name == "base" {
        return Ok(None);
    }
    if !name.contains(['/', '.']) && !source::POLICIES.iter().any(|row| row.0 == name) {
        let known: Vec<&str> = source::POLICIES.iter().map(|row| row.0).collect();
        let known = known.join(", ");
        return Err(format!(
            "no policy {name}: there are base, {known}; a file's name has a . or a / in it"
        ));
    }
    let mut loaded = load(name, None);
    if let Some(bytes) = loaded.compiled {
        return match Blob::parse(&bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(damage) => {
                Err(format!("{name}: not a compiled policy of this version: {damage:?}"))
            }
        };
    }
    let blob = loaded.compile().map(|compiled| compiled.blob);
    loaded.draw_errors();
    blob.map(Some).ok_or(format!("{name}: the policy has errors"))
}

/// Policies in files that nobody else can have written.
#[derive(Default)]
pub(crate) struct Files {
    /// The first file was no text, but a compiled policy.
    compiled: Option<Vec<u8>>,
    /// A unit test to put behind the first text.
    test: Option<String>,
}

impl Files {
    fn with_test(&mut self, mut text: Text) -> Text {
        if let Some(test) = self.test.take() {
            text.text.push_str(&format!("\n#? {test}\n"));
        }
        text
    }
}

impl Sources for Files {
    fn read(&mut self, name: &str, from: Option<&str>) -> Result<Text, Unreadable> {
        if let Some(text) = source::built_in(name) {
            return Ok(self.with_test(text));
        }
        let path = source::join(from, name);
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => Unreadable::new("no such file"),
            _ => Unreadable::new(&error.to_string()),
        };
        let mut file = File::open(&path).map_err(unreadable)?;
        let data = file.metadata().map_err(unreadable)?;
        // SAFETY: takes nothing and cannot fail.
        let own = data.uid() == 0 || data.uid() == unsafe { libc::geteuid() };
        if !data.is_file() || !own || data.mode() & 0o022 != 0 {
            return Err(Unreadable::new(
                "it must be a file of root or of the user that no one else may write",
            ));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        if from.is_none() && bytes.starts_with(&blob::MAGIC.to_le_bytes()) {
            self.compiled = Some(bytes);
            return Err(Unreadable::new("a compiled policy"));
        }
        let id = u128::from(data.dev()) << 64 | u128::from(data.ino());
        match String::from_utf8(bytes) {
            Ok(text) => Ok(self.with_test(Text { name: path, id, text })),
            Err(_) => Err(Unreadable::new("it is not UTF-8")),
        }
    }
}
