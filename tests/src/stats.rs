//! The line of statistics that each process appends to the file in `IA2_STATS`.

use serde_json::Value;
use std::path::Path;

/// One process's line.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The process.
    pub pid: u64,
    /// What it ran.
    pub exe: String,
    /// Sites found.
    pub found: u64,
    /// Sites patched.
    pub patched: u64,
    /// Sites left alone.
    pub unpatched: Vec<Unpatched>,
    /// SIGSYS arrivals.
    pub traps: u64,
    /// Calls that were counted.
    pub calls: u64,
    /// Calls that were inspected.
    pub inspected: u64,
    /// Calls that were refused.
    pub denied: u64,
}

/// One site that was left alone.
#[derive(Clone, Debug)]
pub struct Unpatched {
    /// The file it lies in.
    pub module: String,
    /// Why.
    pub reason: String,
}

impl Stats {
    /// Reads one line; checks what must hold for every line.
    pub fn parse(line: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|e| format!("{e} in {line}"))?;
        if value["schema"] != "ia2.stats/1" {
            return Err(format!("another schema: {line}"));
        }
        let number = |value: &Value, name: &str| {
            value[name].as_u64().ok_or_else(|| format!("no {name} in {line}"))
        };
        let text = |value: &Value, name: &str| {
            value[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name} in {line}"))
        };
        let sites = &value["sites"];
        let mut unpatched = Vec::new();
        for site in sites["unpatched"].as_array().ok_or("no list of unpatched sites")? {
            let (module, reason) = (text(site, "module")?, text(site, "reason")?);
            if reason.is_empty() || site["addr"].is_null() {
                return Err(format!("an unpatched site is not explained: {site}"));
            }
            unpatched.push(Unpatched { module, reason });
        }
        let stats = Self {
            pid: number(&value, "pid")?,
            exe: text(&value, "exe")?,
            found: number(sites, "found")?,
            patched: number(sites, "patched")?,
            unpatched,
            traps: number(&value, "traps")?,
            calls: number(&value, "calls")?,
            inspected: number(&value, "inspected")?,
            denied: number(&value, "denied")?,
        };
        if stats.found != stats.patched + stats.unpatched.len() as u64 {
            return Err(format!(
                "{} sites found, {} patched, {} explained",
                stats.found,
                stats.patched,
                stats.unpatched.len()
            ));
        }
        Ok(stats)
    }

    /// All lines of a file; none if there is no file.
    pub fn read(path: &Path) -> Result<Vec<Self>, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => text.lines().map(Self::parse).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}
