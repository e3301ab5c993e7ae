//! `ia2-loader` by itself: what it is, and that a program it loaded cannot tell.
//!
//! The loader is executed here as `ia2 run` and the shim's exec do it, with the program's descriptor
//! and the settings in their places. Unless a test says otherwise the settings switch interposition
//! off, so that what differs from a native run is the loading. Programs in `tests/loader` print what
//! they see of themselves; the native run is the oracle.

#![allow(unsafe_code, reason = "a hook before exec, where descriptors get their numbers")]

use core::time::Duration;
use ia2_core::elf::{Header, Table};
use ia2_core::handover::WINDOW_AT;
use ia2_core::layout::{GATE, PINNED_LEN};
use ia2_tests::artifacts::{loader, target, workspace};
use ia2_tests::c_program::{compile, difference};
use ia2_tests::run::{End, Run, run, tail};
use ia2_tests::way::{Session, Way};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

const LIMIT: Duration = Duration::from_secs(60);
/// Where the program is open, and where the settings are (`ia2_core::handover`).
const PROGRAM_FD: i32 = 1000;
const CONFIG_FD: i32 = 1022;

const OFF: &str = "IA2_BACKSTOP=none\0IA2_PATCH=off\0";
const STRICT: &str = "IA2_BACKSTOP=strict\0";

/// Fills `command`, which runs the loader, with what it takes to load `program`.
fn hand_over(command: &mut Command, program: &Path, settings: &str, session: &Session) {
    let file = File::open(program).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    let path = session.path("settings");
    std::fs::write(&path, settings).expect("a temporary file");
    add_window(&path);
    let config = File::open(path).expect("a temporary file");
    command.arg0(program).arg(format!("{PROGRAM_FD},0,0,0,0")).arg(program);
    // SAFETY: dup2 is async-signal-safe, and both files live as long as the hook.
    unsafe {
        command.pre_exec(move || {
            for (file, fd) in [(&file, PROGRAM_FD), (&config, CONFIG_FD)] {
                if libc::dup2(file.as_raw_fd(), fd) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

/// Adds gate and constants, which are the first pages of the loader's memory.
fn add_window(settings: &Path) {
    let bytes = std::fs::read(loader()).expect("the loader");
    let header = Header::read(&bytes).expect("an ELF program");
    let table = Table(&bytes[header.table.start as usize..header.table.end as usize]);
    let gate = table.segments().find(|segment| segment.vaddr == GATE).expect("a gate");
    let start = gate.offset as usize;
    let file = File::options().write(true).open(settings).expect("a temporary file");
    let mut pages = bytes[start..start + gate.filesz as usize].to_vec();
    pages.resize(PINNED_LEN as usize, 0);
    file.write_all_at(&pages, WINDOW_AT).expect("a temporary file");
}

fn go(command: &mut Command) -> Run {
    run(command, LIMIT).unwrap_or_else(|e| panic!("{command:?}: {e}"))
}

/// Runs `program` natively and loaded, prepared by `with`, and compares.
fn compare_with(program: &Path, settings: &str, with: impl Fn(&mut Command)) -> Run {
    let session = Session::new(Way::Native);
    let mut command = session.native(program);
    with(command.env("SELF", program));
    let native = go(&mut command);
    let mut command = session.native(loader());
    hand_over(&mut command, program, settings, &session);
    with(command.env("SELF", program));
    let loaded = go(&mut command);
    let name = program.display();
    assert_eq!(loaded.end, native.end, "{name}: {}", tail(&loaded.error_text()));
    assert!(
        loaded.stdout == native.stdout,
        "{name}:\n{}",
        difference(&native.stdout, &loaded.stdout)
    );
    assert_eq!(loaded.error_text(), native.error_text(), "{name}");
    native
}

fn compare(program: impl AsRef<Path>, arguments: &[&str]) -> Run {
    compare_with(program.as_ref(), OFF, |command| {
        command.args(arguments);
    })
}

/// Compiles `tests/loader/NAME.c`.
fn compiled(name: &str, variant: &str, compiler: &str, flags: &[&str]) -> PathBuf {
    let output = target().join("loader-tests").join(format!("{name}-{variant}"));
    let source = workspace().join("tests/loader").join(name).with_extension("c");
    // Two tests may want the same program.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    compile(compiler, &source, &output, flags).unwrap_or_else(|e| panic!("{e}"));
    output.canonicalize().expect("it was compiled just now")
}

/// The program that tells all, built in one way, run natively, loaded, and loaded under the filter.
fn tells_itself(variant: &str, compiler: &str, flags: &[&str]) {
    let program = compiled("tells_itself", variant, compiler, flags);
    let arguments = ["one", "", "three words here", "\u{fc}"];
    let native = compare(&program, &arguments);
    assert_eq!(native.end, End::Exit(42));
    assert!(native.text().ends_with("EXIT-SUCCESS\n"), "{}", native.text());
    compare(&program, &[]);
    compare_with(&program, OFF, |command| {
        command.env_clear();
    });
}

#[test]
fn position_independent_program() {
    tells_itself("pie", "gcc", &["-pie", "-fPIE"]);
}

#[test]
fn program_for_fixed_addresses() {
    tells_itself("no-pie", "gcc", &["-no-pie", "-fno-pie"]);
}

#[test]
fn static_program() {
    tells_itself("static", "gcc", &["-static", "-DSTATIC"]);
}

#[test]
fn static_position_independent_program() {
    tells_itself("static-pie", "gcc", &["-static-pie", "-fPIE", "-DSTATIC", "-DMOVED"]);
}

#[test]
fn musl_program() {
    tells_itself("musl", "musl-gcc", &["-DMUSL"]);
}

#[test]
fn static_musl_program() {
    tells_itself("musl-static", "musl-gcc", &["-static", "-no-pie", "-DMUSL", "-DSTATIC"]);
}

#[test]
fn program_with_an_executable_stack() {
    tells_itself("execstack", "gcc", &["-Wl,-z,execstack"]);
    tells_itself("execstack-static", "gcc", &["-Wl,-z,execstack", "-static", "-DSTATIC"]);
}

#[test]
fn program_with_much_bss() {
    tells_itself("big-bss", "gcc", &["-DBSS=104857600"]);
    tells_itself("big-bss-no-pie", "gcc", &["-DBSS=104857600", "-no-pie", "-fno-pie"]);
}

#[test]
fn program_aligned_to_two_megabytes() {
    let aligned = ["-Wl,-z,max-page-size=2097152", "-DALIGNED=2097152"];
    let with = |more: &[&'static str]| [&aligned[..], more].concat();
    tells_itself("aligned", "gcc", &with(&[]));
    tells_itself("aligned-no-pie", "gcc", &with(&["-no-pie"]));
    let more = ["-static-pie", "-fPIE", "-DSTATIC", "-DMOVED"];
    tells_itself("aligned-static-pie", "gcc", &with(&more));
}

#[test]
fn program_with_code_and_data_in_one_segment() {
    tells_itself("noseparate", "gcc", &["-Wl,-z,noseparate-code"]);
    tells_itself("noseparate-static", "gcc", &["-Wl,-z,noseparate-code", "-static", "-DSTATIC"]);
}

/// Text, data and all in one segment that is writable and executable.
#[test]
fn program_in_one_segment() {
    let flags = ["-nostdlib", "-static", "-fno-stack-protector", "-no-pie", "-Wl,-N"];
    let flags = [&flags[..], &["-Wl,--no-warn-rwx-segments"]].concat();
    compare(compiled("first_instruction", "one-segment", "gcc", &flags), &["a"]);
}

#[test]
fn program_under_the_filter() {
    // What is mapped differs by stubs and the shim's blocks, so only the end is compared.
    for (variant, flags) in
        [("pie", &["-pie", "-fPIE"][..]), ("static", &["-static", "-DSTATIC"][..])]
    {
        let program = compiled("tells_itself", variant, "gcc", flags);
        let session = Session::new(Way::Native);
        let mut command = session.native(loader());
        hand_over(&mut command, &program, STRICT, &session);
        let run = go(&mut command);
        assert_eq!(run.end, End::Exit(42), "{variant}: {}", tail(&run.error_text()));
        assert!(run.text().ends_with("EXIT-SUCCESS\n"), "{variant}: {}", run.text());
    }
}

#[test]
fn registers_at_the_first_instruction() {
    let flags = ["-nostdlib", "-static", "-fno-stack-protector", "-no-pie"];
    compare(compiled("first_instruction", "static", "gcc", &flags), &["a", "b"]);
    let flags = ["-nostdlib", "-static-pie", "-fPIE", "-fno-stack-protector"];
    compare(compiled("first_instruction", "static-pie", "gcc", &flags), &[]);
}

/// Without randomisation even the addresses are the same.
#[test]
fn addresses_without_randomisation() {
    let program = compiled("where", "pie", "gcc", &["-pie", "-fPIE"]);
    let fixed = compiled("where", "no-pie", "gcc", &["-no-pie", "-fno-pie"]);
    for program in [program, fixed] {
        compare_with(&program, OFF, |command| {
            // SAFETY: personality is async-signal-safe and takes an integer.
            unsafe {
                command.pre_exec(|| match libc::personality(libc::ADDR_NO_RANDOMIZE as _) {
                    -1 => Err(io::Error::last_os_error()),
                    _ => Ok(()),
                });
            }
        });
    }
}

#[test]
fn addresses_are_as_random_as_the_kernels() {
    let program = compiled("where", "pie", "gcc", &["-pie", "-fPIE"]);
    let session = Session::new(Way::Native);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let mut command = session.native(loader());
        hand_over(&mut command, &program, OFF, &session);
        let text = go(&mut command).success().expect("it runs");
        let word = text.split_whitespace().nth(1).expect("an address");
        let base = u64::from_str_radix(word.trim_start_matches("0x"), 16).expect("an address");
        assert!((0x5555_5555_4000..0x6555_5555_4000).contains(&base), "{base:x}");
        seen.insert(base >> 32);
    }
    assert!(seen.len() > 8, "{seen:x?}");
}

#[test]
fn real_programs() {
    compare("/bin/true", &[]);
    compare("/bin/false", &["with", "arguments"]);
    compare("/bin/echo", &["", "a", "", "b c", ""]);
    let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    compare("/bin/echo", &many.iter().map(String::as_str).collect::<Vec<_>>());
    compare("/usr/bin/env", &[]);
    compare("/bin/cat", &["/proc/self/cmdline", "/proc/self/comm", "/proc/self/environ"]);
    compare("/bin/ls", &["/does/not/exist"]);
}

#[test]
fn shell_of_busybox() {
    let script = "echo a b c | tr ' ' '\\n' | sort -r | head -2; (exit 3); echo $? $0 $1";
    compare("/bin/busybox", &["sh", "-c", script, "name", "one"]);
}

#[test]
fn python_with_threads() {
    let script = "import threading, sys, math, json
out = []
threads = [threading.Thread(target=lambda i=i: out.append(i * i)) for i in range(20)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(out), sys.argv, json.dumps({'pi': math.pi}))";
    compare("/usr/bin/python3", &["-c", script, "x"]);
}

#[test]
fn static_go_program() {
    let folder = target().join("loader-tests");
    let output = folder.join("go");
    let source = workspace().join("tests/loader/threads.go");
    let built = run(
        Command::new("go")
            .args(["build", "-o"])
            .arg(&output)
            .arg(source)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-mod=mod")
            .env("GOCACHE", folder.join("go-cache")),
        Duration::from_secs(300),
    );
    built.expect("go can be started").success().expect("it compiles");
    compare(output.canonicalize().expect("it was built"), &["a", "b"]);
}

fn refused(program: &Path, code: i32, words: &str) {
    let session = Session::new(Way::Native);
    let mut command = session.native(loader());
    hand_over(&mut command, program, OFF, &session);
    let run = go(&mut command);
    let message = run.error_text();
    assert_eq!(run.end, End::Exit(code), "{}: {message}", program.display());
    assert!(message.contains(words), "{}: {message}", program.display());
    assert_eq!(run.text(), "");
}

#[test]
fn what_is_no_program_is_refused_with_a_message() {
    let session = Session::new(Way::Native);
    let path = session.path("file");
    let whole = std::fs::read("/bin/true").expect("/bin/true can be read");
    let broken = |at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(&path, copy).expect("a temporary file");
    };
    std::fs::write(&path, "").expect("a temporary file");
    refused(&path, 125, "not a program");
    std::fs::write(&path, &whole[..63]).expect("a temporary file");
    refused(&path, 125, "program");
    broken(18, &[3, 0]); // another machine
    refused(&path, 125, "not a program");
    broken(56, &[0, 0]); // no program headers
    refused(&path, 125, "not a program");
    broken(56, &[255, 255]); // too many
    refused(&path, 125, "not a program");
    broken(32, &[255; 8]); // somewhere else
    refused(&path, 125, "program");
}

#[test]
fn started_by_hand_it_says_so() {
    for arguments in [&[][..], &["x"], &["-1", "prog"], &["1000,,", "prog"], &["99999999999999"]] {
        let run = go(Command::new(loader()).args(arguments));
        assert_eq!(run.end, End::Exit(125), "{arguments:?}: {}", run.error_text());
        assert!(run.error_text().contains("loader"), "{}", run.error_text());
    }
}

/// What binutils say about the loader's file.
mod file {
    use super::loader;
    use ia2_tests::artifacts::shim;
    use std::process::Command;

    fn tool(name: &str, arguments: &[&str]) -> String {
        let output = Command::new(name)
            .env("LC_ALL", "C")
            .args(arguments)
            .arg(loader())
            .output()
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("binutils print text")
    }

    const GATE: u64 = 0x7e90_0000_0000;

    fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
        bytes[at..at + N].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// `(flags, address, bytes)` of each segment that is mapped.
    fn segments(file: &[u8]) -> Vec<(u64, u64, &[u8])> {
        let (start, count) = (number::<8>(file, 32) as usize, number::<2>(file, 56) as usize);
        let entries = file[start..start + 56 * count].chunks_exact(56);
        entries
            .filter(|entry| number::<4>(entry, 0) == 1)
            .map(|entry| {
                let [offset, len] = [8, 32].map(|at| number::<8>(entry, at) as usize);
                (number::<4>(entry, 4), number::<8>(entry, 16), &file[offset..offset + len])
            })
            .collect()
    }

    fn syscalls(bytes: &[u8]) -> Vec<usize> {
        let pairs = bytes.windows(2).enumerate();
        pairs.filter(|(_, pair)| *pair == [0x0f, 0x05]).map(|(at, _)| at).collect()
    }

    #[test]
    fn it_is_static_and_lies_at_fixed_addresses() {
        assert!(tool("readelf", &["-hW"]).contains("EXEC (Executable file)"));
        let segments = tool("readelf", &["-lW"]);
        for wrong in ["INTERP", "DYNAMIC", "TLS", "RWE"] {
            assert!(!segments.contains(wrong), "{segments}");
        }
        let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("GNU_STACK");
        assert!(stack.contains("RW ") && !stack.contains('E'), "{stack}");
    }

    /// The page of the gate is its own segment, the same as the library copies there, and then
    /// nothing but breakpoints.
    #[test]
    fn the_gate_is_at_its_address_and_alone_there() {
        let file = std::fs::read(loader()).expect("the loader can be read");
        let library = std::fs::read(shim()).expect("the library can be read");
        let all = segments(&file);
        let gate: Vec<_> = all.iter().filter(|(_, addr, _)| addr >> 16 == GATE >> 16).collect();
        let [(flags, addr, bytes)] = gate[..] else { panic!("{} segments", gate.len()) };
        assert_eq!((*flags, *addr, bytes.len()), (5, GATE, 4096));
        let end = bytes.iter().rposition(|byte| *byte != 0xcc).expect("not empty") + 1;
        assert!(end > 0x240 && end <= 0x300, "{end:#x}");
        let copies = library.windows(end).filter(|window| *window == &bytes[..end]).count();
        assert_eq!(copies, 1, "the gate is not the library's");
    }

    /// The loader's own calls come from the gate. In the text there is the one instruction that
    /// start-up of the preloaded library uses, if it is linked at all.
    #[test]
    fn the_syscall_instructions_are_the_known_ones() {
        let file = std::fs::read(loader()).expect("the loader can be read");
        for (flags, addr, bytes) in segments(&file) {
            if addr == GATE {
                assert_eq!(syscalls(bytes), [0x29, 0x140, 0x240]);
            } else if flags & 1 != 0 {
                let text = tool("objdump", &["-d", "--demangle", "--no-show-raw-insn"]);
                let mut function = "";
                let mut outside = Vec::new();
                for line in text.lines() {
                    if line.ends_with(">:") {
                        function = line;
                    } else if line.trim_end().ends_with("syscall") && !line.contains("7e90000") {
                        outside.push(function);
                    }
                }
                outside.retain(|function| !function.contains("ia2_boot::raw::call"));
                assert!(outside.is_empty(), "{outside:#?}");
            }
        }
    }
}
