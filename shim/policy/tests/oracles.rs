//! Policies that others can express as well, compiled by them: seccompiler, and libseccomp. Their programs and ours, put to our machine with the same calls, say the same.

mod common;

use common::{args, number};
use core::fmt::Write as _;
use ia2_core::bpf::{Insn, RET_ALLOW, RET_ERRNO};
use ia2_core::calls::Width;
use ia2_core::cbpf::{Data, check, run_filter};
use ia2_core::layout::ARGS_AFTER;
use ia2_core::verdict::ActionKind;
use ia2_core::{bpf, own};
use ia2_policy::compile::compile;
use ia2_policy::policy::{Expr, Op, Policy, Value};
use proptest::collection::{btree_map, vec};
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What calls get that are not allowed.
const REFUSED: u16 = 77;

/// One comparison, as all three can make it: without a sign.
#[derive(Clone, Copy, Debug)]
struct Test {
    arg: u8,
    op: Kind,
    mask: u64,
    value: u64,
    wide: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Masked,
}

/// For each number the ways to be allowed, each of tests that all must hold.
type Rules = BTreeMap<u32, Vec<Vec<Test>>>;

fn test(wide: impl Strategy<Value = bool>) -> impl Strategy<Value = Test> {
    use Kind::{Eq, Ge, Gt, Le, Lt, Masked, Ne};
    let op = select(vec![Eq, Ne, Lt, Le, Gt, Ge, Masked]);
    (0..6u8, op, number(), number(), wide).prop_map(|(arg, op, mask, value, wide)| Test {
        arg,
        op,
        mask,
        value,
        wide,
    })
}

/// Numbers that the shim has no business with.
fn free_number() -> impl Strategy<Value = u32> {
    (0..430u32).prop_filter("nobody's", |nr| {
        bpf::guard(*nr).is_none()
            && own::row(*nr, own::Needs::ALL).is_none()
            && ia2_core::calls::by_nr(*nr).is_some()
    })
}

fn policy_of(rules: &Rules) -> Policy {
    let mut policy = Policy::default();
    policy.default.kind = ActionKind::Errno(REFUSED);
    policy.unknown.kind = ActionKind::Errno(REFUSED);
    for (index, (nr, ways)) in rules.iter().enumerate() {
        let one = |test: &Test| {
            let (op, left, value) = match test.op {
                Kind::Masked => {
                    let mask = Value::Constant(test.mask);
                    let left = Value::And(Box::new(Value::Argument(test.arg)), Box::new(mask));
                    (Op::Eq, left, test.value & test.mask)
                }
                Kind::Eq => (Op::Eq, Value::Argument(test.arg), test.value),
                Kind::Ne => (Op::Ne, Value::Argument(test.arg), test.value),
                Kind::Lt => (Op::Lt, Value::Argument(test.arg), test.value),
                Kind::Le => (Op::Le, Value::Argument(test.arg), test.value),
                Kind::Gt => (Op::Gt, Value::Argument(test.arg), test.value),
                Kind::Ge => (Op::Ge, Value::Argument(test.arg), test.value),
            };
            let width = if test.wide { Width::W64 } else { Width::W32 };
            Expr::Compare { op, left, right: Value::Constant(value), width, signed: false }
        };
        let way = |tests: &Vec<Test>| Expr::And(tests.iter().map(one).collect());
        let when = Expr::Or(ways.iter().map(way).collect());
        let otherwise = ActionKind::Errno(REFUSED);
        policy.rules.push(common::rule(when, ActionKind::Allow, otherwise));
        policy.calls.push((*nr, index as u16));
    }
    policy
}

/// Puts calls to both: what we say from the gate's `args`, where no shim is asked.
fn compare(rules: &Rules, theirs: &[Insn], trials: &[[u64; 6]]) {
    let compiled = compile(&policy_of(rules)).unwrap();
    assert_eq!(check(theirs, 0), Ok(()), "a program of theirs that we would not take");
    let values: BTreeSet<u64> =
        rules.values().flatten().flatten().flat_map(|test| [test.value, test.mask]).collect();
    let mut trials = trials.to_vec();
    for value in values {
        trials.extend([0, 1, u64::MAX, 1 << 32].map(|by| [value.wrapping_add(by); 6]));
    }
    for nr in rules.keys() {
        for args in &trials {
            let data = Data::new(*nr, ARGS_AFTER, args);
            let wanted = run_filter(theirs, &data);
            assert!([RET_ALLOW, RET_ERRNO | u32::from(REFUSED)].contains(&wanted));
            for ours in [&compiled.strict, &compiled.inspected] {
                assert_eq!(run_filter(&ours[..], &data), wanted, "{nr} {args:x?} {rules:?}");
            }
        }
    }
}

fn with_seccompiler(rules: &Rules) -> Vec<Insn> {
    let condition = |test: &Test| {
        let op = match test.op {
            Kind::Eq => SeccompCmpOp::Eq,
            Kind::Ne => SeccompCmpOp::Ne,
            Kind::Lt => SeccompCmpOp::Lt,
            Kind::Le => SeccompCmpOp::Le,
            Kind::Gt => SeccompCmpOp::Gt,
            Kind::Ge => SeccompCmpOp::Ge,
            Kind::Masked => SeccompCmpOp::MaskedEq(test.mask),
        };
        let len = if test.wide { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
        SeccompCondition::new(test.arg, len, op, test.value).unwrap()
    };
    let rule = |tests: &Vec<Test>| SeccompRule::new(tests.iter().map(condition).collect()).unwrap();
    let rules =
        rules.iter().map(|(nr, ways)| (i64::from(*nr), ways.iter().map(rule).collect())).collect();
    let refused = SeccompAction::Errno(REFUSED.into());
    let filter =
        SeccompFilter::new(rules, refused, SeccompAction::Allow, TargetArch::x86_64).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    let insn = |insn: &seccompiler::sock_filter| Insn {
        code: insn.code,
        jt: insn.jt,
        jf: insn.jf,
        k: insn.k,
    };
    program.iter().map(insn).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn seccompiler_says_the_same(
        rules in btree_map(free_number(), vec(vec(test(any::<bool>()), 1..4), 1..4), 1..12),
        trials in vec(args(), 60),
    ) {
        compare(&rules, &with_seccompiler(&rules), &trials);
    }
}

/// One way for each call, with one test for each argument: libseccomp before 2.6.1 merges some of what is
/// more than that in a way that is known to be wrong (GHSA-4q85-33p6-j5g6).
#[test]
fn libseccomp_says_the_same() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join("scmp.c"), folder.join("scmp"));
    std::fs::write(&source, HELPER).unwrap();
    let built = Command::new("cc").arg(&source).arg("-o").arg(&program).arg("-lseccomp").status();
    assert!(built.is_ok_and(|status| status.success()), "libseccomp is missing: scripts/deps");
    let ways = vec(test(proptest::strategy::Just(true)), 1..4).prop_map(|mut tests| {
        let mut seen = BTreeSet::new();
        tests.retain(|test| seen.insert(test.arg));
        vec![tests]
    });
    let rules = btree_map(free_number(), ways, 1..30);
    let mut runner = TestRunner::deterministic();
    for round in 0..60 {
        let rules = rules.new_tree(&mut runner).unwrap().current();
        let trials = vec(args(), 60).new_tree(&mut runner).unwrap().current();
        let mut text = format!("{} {REFUSED}\n", 1 + round % 2);
        for (nr, ways) in &rules {
            for tests in ways {
                write!(text, "{nr} {}", tests.len()).unwrap();
                for Test { arg, op, mask, value, .. } in tests {
                    write!(text, " {arg} {} {mask} {value}", *op as u32).unwrap();
                }
                text.push('\n');
            }
        }
        let mut child =
            Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "libseccomp takes this: {text}");
        let (insns, _) = output.stdout.as_chunks::<8>();
        let theirs: Vec<Insn> =
            (0..insns.len()).map(|at| ia2_core::cbpf::Program::insn(insns, at).unwrap()).collect();
        compare(&rules, &theirs, &trials);
    }
}

/// See its first lines; the operations are those of [`Kind`].
const HELPER: &str = include_str!("libseccomp.c");
