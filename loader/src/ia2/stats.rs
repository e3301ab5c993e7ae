//! `ia2 stats`: the lines that programs appended to `IA2_STATS` files, as tables.
//!
//! Fields that a line does not have are shown as `-` and fields we do not know are passed over, so
//! lines of other versions can be read too. What is not a statistics object at all is an error.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

/// Columns that are numbers: the heading, and where the number is in the object.
const COLUMNS: [(&str, &str); 6] = [
    ("SITES", "/sites/found"),
    ("PATCHED", "/sites/patched"),
    ("CALLS", "/calls"),
    ("TRAPS", "/traps"),
    ("INSPECTED", "/inspected"),
    ("DENIED", "/denied"),
];

/// Prints the processes of each file, and what was left alone in them. Lines that are no statistics
/// are named on standard error and make the exit status 2.
pub(crate) fn run(files: &[PathBuf], out: &mut impl Write) -> io::Result<ExitCode> {
    let mut failed = false;
    for (index, path) in files.iter().enumerate() {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                eprintln!("ia2: {}: cannot be read: {error}", path.display());
                failed = true;
                continue;
            }
        };
        let mut processes = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            match parse(line) {
                Ok(process) => processes.push(process),
                Err(reason) => {
                    eprintln!("ia2: {}:{}: {reason}", path.display(), index + 1);
                    failed = true;
                }
            }
        }
        if files.len() > 1 {
            writeln!(out, "{}{}:", if index > 0 { "\n" } else { "" }, path.display())?;
        }
        print(&processes, out)?;
    }
    Ok(crate::bad_input(failed))
}

/// Reads one line.
fn parse(line: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    match value.get("schema").and_then(Value::as_str) {
        Some(schema) if schema.starts_with("ia2.stats/") => Ok(value),
        Some(schema) => Err(format!("schema is {schema:?}, not \"ia2.stats/1\"")),
        None => Err("not an object with a \"schema\"".to_owned()),
    }
}

/// Prints one file's processes: a row each, the sums, and the sites left alone by module and
/// reason.
fn print(processes: &[Value], out: &mut impl Write) -> io::Result<()> {
    let mut rows = vec![row("PID", COLUMNS.map(|(heading, _)| heading.to_owned()), "PROGRAM")];
    let number = |process: &Value, at: &str| process.pointer(at).and_then(Value::as_u64);
    for process in processes {
        let cells =
            COLUMNS.map(|(_, at)| number(process, at).map_or("-".into(), |n| n.to_string()));
        let pid = number(process, "/pid").map_or("-".into(), |pid| pid.to_string());
        let exe = process.pointer("/exe").and_then(Value::as_str).unwrap_or("-");
        rows.push(row(&pid, cells, exe));
    }
    if processes.len() > 1 {
        let sums = COLUMNS.map(|(_, at)| {
            processes.iter().filter_map(|process| number(process, at)).sum::<u64>().to_string()
        });
        rows.push(row("all", sums, ""));
    }
    let widths: Vec<usize> = (0..COLUMNS.len() + 1)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:>width$}  "));
        }
        line.push_str(row.last().map_or("", String::as_str));
        writeln!(out, "{}", line.trim_end())?;
    }

    // Which sites, by module and reason; many processes share them.
    let mut left: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let sites =
        processes.iter().filter_map(|process| process.pointer("/sites/unpatched")?.as_array());
    for site in sites.flatten() {
        let text = |key: &str| site.get(key).map_or("-".to_owned(), plain);
        let addresses = left.entry((text("module"), text("reason"))).or_default();
        let addr = text("addr");
        if !addresses.contains(&addr) {
            addresses.push(addr);
        }
    }
    if !left.is_empty() {
        writeln!(out, "\nleft alone:")?;
    }
    for ((module, reason), addresses) in left {
        writeln!(out, "  {module}: {reason}: {}", addresses.join(" "))?;
    }
    Ok(())
}

/// The cells of one row.
fn row(pid: &str, cells: [String; COLUMNS.len()], exe: &str) -> Vec<String> {
    let mut row = vec![pid.to_owned()];
    row.extend(cells);
    row.push(exe.to_owned());
    row
}

/// A value without quotes; a number that is an address as one.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            number.as_u64().map_or_else(|| number.to_string(), |addr| format!("{addr:#x}"))
        }
        other => other.to_string(),
    }
}
