//! Facts of the artifacts, as binutils see them.

use ia2_tests::artifacts::{loader, shim};
use std::path::Path;
use std::process::Command;

/// The output of a tool on the preloaded library.
fn tool(name: &str, arguments: &[&str]) -> String {
    tool_on(&shim(), name, arguments)
}

/// The output of a tool on a file.
fn tool_on(file: &Path, name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name)
        .env("LC_ALL", "C")
        .args(arguments)
        .arg(file)
        .output()
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("binutils print text")
}

#[test]
fn the_library_needs_no_other_library() {
    let dynamic = tool("readelf", &["-dW"]);
    assert!(dynamic.contains("SONAME"), "not what was expected:\n{dynamic}");
    assert!(!dynamic.contains("NEEDED"), "{dynamic}");
}

#[test]
fn the_library_has_no_undefined_symbol() {
    assert_eq!(tool("nm", &["-D", "--undefined-only"]), "");
}

#[test]
fn the_library_exports_one_symbol() {
    let names = tool("nm", &["-D", "--defined-only", "--format=just-symbols"]);
    assert_eq!(names.lines().collect::<Vec<_>>(), ["ia2shim_version"]);
}

#[test]
fn the_library_has_no_thread_local_storage() {
    let segments = tool("readelf", &["-lW"]);
    assert!(segments.contains("LOAD"), "not what was expected:\n{segments}");
    assert!(!segments.contains("TLS"), "{segments}");
}

#[test]
fn the_library_is_initialised_first() {
    let dynamic = tool("readelf", &["-dW"]);
    let flags = dynamic.lines().find(|line| line.contains("FLAGS_1")).expect("a FLAGS_1 entry");
    assert!(flags.contains("INITFIRST"), "{flags}");
}

#[test]
fn no_segment_is_writable_and_executable() {
    let segments = tool("readelf", &["-lW"]);
    assert!(!segments.contains("RWE"), "{segments}");
}

#[test]
fn the_library_has_no_text_relocation() {
    assert!(!tool("readelf", &["-dW"]).contains("TEXTREL"));
}

/// Each is work at the start of every process, and a page that is then its own. A table of names has
/// thousands unless it is packed.
#[test]
fn the_library_has_few_relocations() {
    let relocations = tool("readelf", &["-rW"]);
    let count = relocations.lines().filter(|line| line.contains("R_X86_64_")).count();
    assert!((1..450).contains(&count), "{count}:\n{relocations}");
}

/// The gate is copied from data. What is left are the calls of start-up, before there is a gate,
/// which the filter would trap later: one instruction, and none in the live crate, whose calls all
/// go through the gate.
#[test]
fn live_code_holds_no_syscall_instruction() {
    let text = tool("objdump", &["-d", "--demangle", "--no-show-raw-insn"]);
    let (mut function, mut calls, mut live) = ("", 0, Vec::new());
    for line in text.lines() {
        if line.ends_with(">:") {
            function = line;
        } else if line.trim_end().ends_with("syscall") {
            calls += 1;
            live.extend(function.contains("ia2_rt").then_some(function));
        }
    }
    assert!(live.is_empty(), "{live:#?}");
    assert_eq!(calls, 1, "syscall instructions");
    assert!(!text.contains("int    $0x80") && !text.contains("sysenter"), "an old entry is used");
}

/// The slow entry saves the sixteen xmm registers and no more (docs/adr/0002): wider registers, and
/// the upper parts of these, must not be touched, which only VEX and EVEX encodings do.
#[test]
fn the_library_uses_no_vector_register_wider_than_the_entry_saves() {
    let text = tool("objdump", &["-d", "--no-show-raw-insn"]);
    let mut instructions = 0;
    for line in text.lines() {
        let Some(instruction) = line.split('\t').nth(1) else { continue };
        instructions += 1;
        // No instruction that user code has begins with a v but those two encodings.
        assert!(!instruction.starts_with('v'), "{line}");
        assert!(!instruction.contains("%ymm") && !instruction.contains("%zmm"), "{line}");
    }
    assert!(instructions > 1000, "objdump printed something else");
}

#[test]
fn the_loader_is_static_at_fixed_addresses() {
    let header = tool_on(&loader(), "readelf", &["-hW"]);
    assert!(header.contains("EXEC (Executable file)"), "{header}");
    let segments = tool_on(&loader(), "readelf", &["-lW"]);
    for absent in ["INTERP", "DYNAMIC", "TLS", "RWE"] {
        assert!(!segments.contains(absent), "{segments}");
    }
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("a stack");
    assert!(stack.contains("RW "), "{stack}");
}

/// The first call of the loader must come from the gate: the page is part of its image, and its bytes
/// are those that the preloaded library copies there.
#[test]
fn the_loader_brings_the_gate_at_its_address() {
    let segments = tool_on(&loader(), "readelf", &["-lW"]);
    let gate = segments.lines().find(|line| line.contains("0x00007e9000000000")).expect("a gate");
    let fields: Vec<&str> = gate.split_whitespace().collect();
    assert_eq!((fields[4], fields[5], fields[6], fields[7]), ("0x001000", "0x001000", "R", "E"));
    let offset = usize::from_str_radix(fields[1].trim_start_matches("0x"), 16).expect("an offset");
    let bytes = std::fs::read(loader()).expect("the loader");
    let page = &bytes[offset..offset + 4096];
    let end = page.iter().rposition(|byte| *byte != 0xcc).expect("code") + 1;
    assert_eq!(page.windows(2).filter(|pair| pair == b"\x0f\x05").count(), 3);
    let library = std::fs::read(shim()).expect("the library");
    assert!(library.windows(end).any(|window| *window == page[..end]), "another gate");
}

#[test]
fn live_code_of_the_loader_holds_no_syscall_instruction() {
    let text = tool_on(&loader(), "objdump", &["-d", "-j", ".text", "--no-show-raw-insn"]);
    let calls = text.lines().filter(|line| line.trim_end().ends_with("syscall")).count();
    // That of boot, which is used before there is a gate, and here never.
    assert!(calls <= 1, "{calls} syscall instructions");
}
