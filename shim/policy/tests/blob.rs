//! The compiled form survives being written, and bytes that are none are refused, or do no harm.

mod common;

use common::{args, condition, policy, seed4};
use ia2_core::blob::{
    Asker, Blob, Call, Caller, Cause, Damage, Paths, Place, Section, Shape, Verdict,
};
use ia2_core::verdict::{Access, ActionKind};
use ia2_policy::compile::{compile, compile_unverified};
use ia2_policy::policy::{self, Action, Expr, FileRule, Policy};
use ia2_policy::span::Span;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

/// Answers yes, and keeps what it was asked.
#[derive(Default)]
struct Yes(Vec<String>);

impl<'a> Asker<'a> for Yes {
    fn path(&mut self, arg: u8, paths: Paths<'a>) -> Result<bool, u16> {
        let allowed = |access| paths.allows(access, b"/srv/www/index.html");
        let all = [Access::Read, Access::Write, Access::Execute, Access::Create].map(allowed);
        self.0.push(format!("path {arg} {all:?}"));
        if arg == 5 { Err(14) } else { Ok(true) }
    }

    fn from(&mut self, caller: Caller<'a>) -> bool {
        self.0.push(format!("{caller:?}"));
        true
    }
}

/// Reads everything that can be read.
fn read_all(blob: &Blob<'_>, nr: u32, args: &[u64; 6]) -> usize {
    let mut asker = Yes::default();
    let verdict = blob.judge(&Call { nr, args: *args }, &mut asker);
    let rules: usize = blob.rules().map(|place| place.text.len() + place.file.len()).sum();
    let files: usize = blob
        .files()
        .items()
        .map(|item| item.paths.iter().count() + item.except.iter().count())
        .sum();
    let told = (0..=u16::MAX).step_by(257).filter(|data| blob.told(*data).is_some()).count();
    let kernel = blob.kernel(Shape::Strict).len() + blob.kernel(Shape::Inspected).len();
    let slow = usize::from(blob.is_slow(nr, true)) + usize::from(blob.is_slow(nr, false));
    asker.0.len() + verdict.reason.len() + rules + files + told + kernel + slow + blob.name().len()
}

#[test]
fn verdict_names_its_rule() {
    let policy = seed4();
    let compiled = compile(&policy).unwrap();
    let blob = Blob::parse(&compiled.blob).unwrap();
    let place = Place { file: "seed4.ia2", line: 1, column: 1, text: "read : fd == 0" };
    let judge =
        |nr, first| blob.judge(&Call { nr, args: [first, 0, 0, 0, 0, 0] }, &mut Yes::default());
    let rule = |held| Cause::Rule { rule: place, held };
    let (action, log, reason) = (ActionKind::Allow, false, "");
    assert_eq!(judge(0, 0), Verdict { action, log, reason, cause: rule(true) });
    let action = ActionKind::KillProcess;
    assert_eq!(judge(0, 3), Verdict { action, log, reason, cause: rule(false) });
    assert_eq!(judge(2, 0), Verdict { action, log, reason, cause: Cause::Default });
    assert_eq!(judge(600, 0), Verdict { action, log, reason, cause: Cause::Unknown });
    assert_eq!((blob.name(), blob.rules().count()), ("seed4", 4));
}

#[test]
fn calls_that_could_be_killed_are_judged_first() {
    let policy = seed4();
    let compiled = compile(&policy).unwrap();
    let blob = Blob::parse(&compiled.blob).unwrap();
    for nr in (0..600).chain([u32::MAX]) {
        assert_eq!(blob.is_slow(nr, true), nr != 15, "{nr}");
        assert_eq!(blob.is_slow(nr, false), nr != 15, "{nr}");
    }
}

#[test]
fn calls_that_the_kernel_can_refuse_alone_are_fast() {
    let mut policy = seed4();
    let action = |kind| Action { kind, ..Action::default() };
    policy.rules[0].otherwise = action(ActionKind::Errno(1));
    policy.rules[1].otherwise = action(ActionKind::Emulate);
    policy.rules[3].then.log = true;
    policy.default = action(ActionKind::Allow);
    policy.unknown = action(ActionKind::Errno(38));
    let compiled = compile(&policy).unwrap();
    let blob = Blob::parse(&compiled.blob).unwrap();
    // read can be allowed and refused; write may be done in another way, and is the program's in any case;
    // gettimeofday is logged.
    let slow = |filtered| [0, 1, 2, 15, 96, 511, 512].map(|nr| blob.is_slow(nr, filtered));
    assert_eq!(slow(true), [false, true, false, false, true, true, true]);
    assert_eq!(slow(false), [true, false, false, false, true, true, true]);
    // What the shim gets anyway it judges.
    policy.rules[0].when = Expr::In {
        value: policy::Value::Argument(0),
        ranges: vec![(0, 9)],
        width: ia2_core::calls::Width::W64,
        signed: false,
    };
    policy.calls[0].0 = 9;
    policy.calls.sort_unstable();
    let compiled = compile(&policy).unwrap();
    let blob = Blob::parse(&compiled.blob).unwrap();
    assert_eq!([0, 9].map(|nr| blob.is_slow(nr, true)), [false, true]);
}

#[test]
fn questions_reach_whoever_answers() {
    let mut policy = seed4();
    let patterns = policy::Paths::Patterns(vec!["/srv/*".into(), "/srv/**/*.html".into()]);
    policy.files = vec![FileRule {
        span: Span::default(),
        access: Access::Execute,
        paths: vec!["/".into()],
        except: vec!["/srv/*/secret".into()],
    }];
    policy.rules[0].when = Expr::And(vec![
        Expr::Path { arg: 2, paths: patterns },
        Expr::From(policy::Caller::Module("libc.so".into())),
        Expr::From(policy::Caller::Jit),
        Expr::From(policy::Caller::Vdso),
        Expr::From(policy::Caller::Wrapper),
        Expr::Path { arg: 1, paths: policy::Paths::Files },
        common::equals(0, 7, ia2_core::calls::Width::W32),
        Expr::Path { arg: 5, paths: policy::Paths::Files },
    ]);
    let compiled = compile(&policy).unwrap();
    let blob = Blob::parse(&compiled.blob).unwrap();
    let mut asker = Yes::default();
    let verdict = blob.judge(&Call { nr: 0, args: [7, 0, 0, 0, 0, 0] }, &mut asker);
    assert_eq!((verdict.action, verdict.cause), (ActionKind::Errno(14), Cause::Argument));
    let asked = [
        "path 2 [true, true, true, true]",
        "Module(\"libc.so\")",
        "Jit",
        "Vdso",
        "Wrapper",
        "path 1 [true, false, true, false]",
        "path 5 [true, false, true, false]",
    ];
    assert_eq!(asker.0, asked);
    // What numbers refuse is not asked about.
    let mut asker = Yes::default();
    let verdict = blob.judge(&Call { nr: 0, args: [8, 0, 0, 0, 0, 0] }, &mut asker);
    assert_eq!((verdict.action, asker.0.len()), (ActionKind::KillProcess, 0));
}

#[test]
fn rule_is_shown_on_one_line() {
    let shown = |text: &str| {
        let mut policy = seed4();
        policy.sources[0].text = format!("\n  {text}\nread : 1");
        policy.rules[0].span = Span { file: 0, start: 3, end: 3 + text.len() as u32 };
        let compiled = compile_unverified(&policy).unwrap();
        let blob = Blob::parse(&compiled.blob).unwrap();
        let place = blob.rule(0).unwrap();
        assert_eq!((place.line, place.column), (2, 3));
        place.text.to_owned()
    };
    assert_eq!(shown("read, # the first\n\t write :  1"), "read, write : 1");
    assert_eq!(shown("#7 : deny \"a  # \\\" b\"  "), "#7 : deny \"a  # \\\" b\"");
    let long = shown(&format!("read : {}", "é".repeat(200)));
    assert!(long.len() <= 200 && long.ends_with("é…"), "{long}");
    assert_eq!(shown(&"x".repeat(200)).len(), 200);
}

#[test]
fn damage_is_named() {
    let good = compile(&seed4()).unwrap().blob;
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Blob::parse(&bytes).unwrap_err()
    };
    assert_eq!(refused(&|bytes| bytes[0] ^= 1), Damage::Magic);
    assert_eq!(refused(&|bytes| bytes.clear()), Damage::Magic);
    assert_eq!(refused(&|bytes| bytes[4] = 9), Damage::Version(9));
    assert_eq!(refused(&|bytes| bytes.truncate(bytes.len() - 1)), Damage::Length);
    let offset = |section: Section| 16 + 8 * section as usize;
    let at = offset(Section::Shim);
    assert_eq!(refused(&|bytes| bytes[at + 4] -= 4), Damage::Section(Section::Shim),);
    assert_eq!(refused(&|bytes| bytes[at..at + 4].fill(0xff)), Damage::Section(Section::Shim),);
    let section = |at: usize| u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize;
    let verdicts = section(offset(Section::Verdicts));
    assert_eq!(refused(&|bytes| bytes[verdicts + 24] = 9), Damage::Row(Section::Verdicts, 1),);
    let shim = section(at);
    assert!(matches!(
        refused(&|bytes| bytes[shim + 8 + 2] = 200),
        Damage::Program(Section::Shim, _)
    ));
    // Others may lie behind.
    let mut more = good.clone();
    more.extend([1, 2, 3]);
    assert!(Blob::parse(&more).is_ok());
}

proptest! {
    #[test]
    fn damaged_bytes_do_no_harm(
        policy in policy(condition()),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        nr in 0..700u32,
        args in args(),
    ) {
        let mut bytes = compile_unverified(&policy).unwrap().blob;
        prop_assert!(Blob::parse(&bytes).is_ok());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(blob) = Blob::parse(&bytes) {
            read_all(&blob, nr, &args);
        }
    }

    #[test]
    fn every_beginning_is_refused(policy in policy(condition()), at in any::<proptest::sample::Index>()) {
        let bytes = compile_unverified(&policy).unwrap().blob;
        prop_assert!(Blob::parse(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn filters_lie_at_multiples_of_an_instruction(policy in policy(condition())) {
        let compiled = compile_unverified(&policy).unwrap();
        let blob = Blob::parse(&compiled.blob).unwrap();
        for shape in [Shape::Strict, Shape::Inspected] {
            let at = blob.kernel(shape).as_ptr().addr() - compiled.blob.as_ptr().addr();
            prop_assert_eq!(at % 8, 0);
        }
        prop_assert_eq!(blob.kernel(Shape::Strict).len(), compiled.strict.len() * 8);
        prop_assert_eq!(blob.files().items().count(), policy.files.len());
        let _: &Policy = &policy;
    }
}
