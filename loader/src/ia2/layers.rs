//! Policies as they are given on a command line: built-in ones by name, files by path.

use ia2_boot::built_in;
use ia2_core::blob::{self, Blob};
use ia2_policy::diag::Severity;
use ia2_policy::source::{self, Sources, Text, Unreadable};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;

/// The compiled form of a policy; what is wrong with it is said on stderr. `base` has none.
///
/// # Errors
/// Why there is none, in a few words.
pub(crate) fn compiled(name: &str) -> Result<Option<Vec<u8>>, String> {
    if name == "base" {
        return Ok(None);
    }
    if !name.contains(['/', '.']) {
        let blob = built_in::blob(name).map(<[u8]>::to_vec);
        let names: Vec<&str> = source::POLICIES.iter().map(|row| row.0).collect();
        let known = names.join(", ");
        return blob.map(Some).ok_or(format!(
            "no policy {name}: there are base, {known}; a file's name has a . or a / in it"
        ));
    }
    let mut files = Files::default();
    let (policy, mut findings, sources) = ia2_policy::load(name, &mut files);
    if let Some(bytes) = files.compiled {
        return match Blob::parse(&bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(damage) => {
                Err(format!("{name}: not a compiled policy of this version: {damage:?}"))
            }
        };
    }
    let compiled = policy.map(|policy| ia2_policy::compile::compile(&policy));
    let blob = match compiled {
        Some(Ok(compiled)) => Some(compiled.blob),
        Some(Err(more)) => {
            findings.extend(more);
            None
        }
        None => None,
    };
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
        eprintln!("{}", ia2_policy::render::line(finding, &sources));
    }
    blob.map(Some).ok_or(format!("{name}: the policy has errors"))
}

/// Policies in files that nobody else can have written.
#[derive(Default)]
pub(crate) struct Files {
    /// The first file was no text, but a compiled policy.
    compiled: Option<Vec<u8>>,
}

impl Sources for Files {
    fn read(&mut self, name: &str, from: Option<&str>) -> Result<Text, Unreadable> {
        if let Some(text) = source::built_in(name) {
            return Ok(text);
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
            Ok(text) => Ok(Text { name: path, id, text }),
            Err(_) => Err(Unreadable::new("it is not UTF-8")),
        }
    }
}
