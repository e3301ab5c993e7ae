//! Policies at random: any that the types can hold and the compiler takes.

#![allow(dead_code, reason = "each test uses a part")]

use ia2_core::calls::{Version, Width};
use ia2_core::layout::{GATE, WINDOW_END};
use ia2_core::verdict::{Access, ActionKind, Region};
use ia2_policy::policy::{Action, Caller, Expr, FileRule, Op, Paths, Policy, Rule, Source, Value};
use ia2_policy::span::Span;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use std::collections::BTreeMap;

/// Numbers at which something could go wrong, and their neighbours.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0..8u64,
        3 => (0..64u32).prop_map(|bit| 1u64 << bit),
        2 => (0..64u32, -1..2i64).prop_map(|(bit, by)| (1u64 << bit).wrapping_add_signed(by)),
        1 => (-3..3i64).prop_map(i64::cast_unsigned),
        1 => GATE - 2..GATE + 2,
        1 => WINDOW_END - 2..WINDOW_END + 2,
        1 => any::<u32>().prop_map(u64::from),
        1 => any::<u64>(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => (0..6u8).prop_map(Value::Argument),
        3 => number().prop_map(Value::Constant),
        1 => Just(Value::Number),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        let two = (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            two.clone().prop_map(|(a, b)| Value::And(a, b)),
            two.clone().prop_map(|(a, b)| Value::Or(a, b)),
            two.prop_map(|(a, b)| Value::Xor(a, b)),
            (inner.clone(), 0..64u8).prop_map(|(a, by)| Value::Shl(Box::new(a), by)),
            inner.prop_map(|a| Value::Not(Box::new(a))),
        ]
    })
}

fn width() -> impl Strategy<Value = Width> {
    select(vec![Width::W32, Width::W64])
}

fn compare() -> impl Strategy<Value = Expr> {
    let op = select(vec![Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge]);
    let simple = prop_oneof![
        3 => (0..6u8).prop_map(Value::Argument),
        2 => (0..6u8, number()).prop_map(|(arg, mask)| {
            Value::And(Box::new(Value::Argument(arg)), Box::new(Value::Constant(mask)))
        }),
        1 => value(),
    ];
    let right = prop_oneof![3 => number().prop_map(Value::Constant), 1 => value()];
    (op, simple, right, width(), any::<bool>()).prop_map(|(op, left, right, width, signed)| {
        Expr::Compare { op, left, right, width, signed }
    })
}

fn within() -> impl Strategy<Value = Expr> {
    let ends = btree_set(number(), 1..12);
    (value(), ends, any::<u64>(), width(), any::<bool>()).prop_map(
        |(value, ends, single, width, signed)| {
            let (most, sign) = match width {
                Width::W32 => (u64::from(u32::MAX), 1 << 31),
                Width::W64 => (u64::MAX, 1 << 63),
            };
            let turn = if signed { sign } else { 0 };
            let mut keys: Vec<u64> = ends.iter().map(|end| (end & most) ^ turn).collect();
            keys.sort_unstable();
            keys.dedup();
            // Some alone, some as ends of a range; apart, so that one lies between.
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            let mut keys = keys.into_iter().peekable();
            for bit in 0.. {
                let Some(first) = keys.next() else { break };
                let last = match single >> (bit % 64) & 1 {
                    0 => first,
                    _ => keys.next().unwrap_or(first),
                };
                match ranges.last_mut() {
                    Some(before) if before.1 + 1 == first => before.1 = last,
                    _ => ranges.push((first, last)),
                }
            }
            let ranges = ranges.iter().map(|(first, last)| (first ^ turn, last ^ turn)).collect();
            Expr::In { value, ranges, width, signed }
        },
    )
}

fn caller() -> impl Strategy<Value = Caller> {
    prop_oneof![
        Just(Caller::Trampoline),
        Just(Caller::Wrapper),
        Just(Caller::Vdso),
        Just(Caller::Jit),
        "lib[ab]".prop_map(Caller::Module),
    ]
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    vec("(/([ab*?]{1,2}|\\*\\*)){1,3}|/", 1..3)
}

/// A condition that only numbers decide.
pub(crate) fn numbers() -> impl Strategy<Value = Expr> {
    nested(
        prop_oneof![
            1 => Just(Expr::True),
            1 => Just(Expr::False),
            6 => compare(),
            3 => within(),
            1 => overlaps(),
        ]
        .boxed(),
    )
}

fn overlaps() -> impl Strategy<Value = Expr> {
    (0..6u8, 0..6u8).prop_map(|(addr, len)| Expr::Overlaps { addr, len, region: Region::Protected })
}

/// Any condition.
pub(crate) fn condition() -> impl Strategy<Value = Expr> {
    let paths = prop_oneof![Just(Paths::Files), patterns().prop_map(Paths::Patterns)];
    nested(
        prop_oneof![
            1 => Just(Expr::True),
            1 => Just(Expr::False),
            6 => compare(),
            3 => within(),
            1 => overlaps(),
            2 => (0..3u8, paths).prop_map(|(arg, paths)| Expr::Path { arg, paths }),
            2 => caller().prop_map(Expr::From),
        ]
        .boxed(),
    )
}

fn nested(leaf: proptest::strategy::BoxedStrategy<Expr>) -> impl Strategy<Value = Expr> {
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| Expr::Not(Box::new(one))),
            vec(inner.clone(), 0..4).prop_map(Expr::And),
            vec(inner, 0..4).prop_map(Expr::Or),
        ]
    })
}

fn action() -> impl Strategy<Value = Action> {
    let kind = prop_oneof![
        4 => Just(ActionKind::Allow),
        3 => (1..134u16).prop_map(ActionKind::Errno),
        1 => Just(ActionKind::KillProcess),
        1 => Just(ActionKind::KillThread),
        1 => any::<u16>().prop_map(ActionKind::Trap),
        1 => any::<u16>().prop_map(ActionKind::Trace),
        1 => Just(ActionKind::Emulate),
    ];
    let reason = prop_oneof![3 => Just(String::new()), 1 => "[a-zé ]{1,9}".prop_map(|s| s)];
    (kind, proptest::bool::weighted(0.1), reason).prop_map(|(kind, log, reason)| Action {
        kind,
        log,
        reason,
    })
}

fn files() -> impl Strategy<Value = FileRule> {
    let access = select(vec![Access::Read, Access::Write, Access::Execute, Access::Create]);
    (access, patterns(), prop_oneof![Just(Vec::new()), patterns()]).prop_map(
        |(access, paths, except)| FileRule { span: Span::default(), access, paths, except },
    )
}

/// A number of a call: of one that the shim cares about, of any, or of none.
fn call() -> impl Strategy<Value = u32> {
    let special = vec![0, 3, 9, 13, 16, 33, 39, 56, 59, 60, 72, 231, 257, 262, 292, 322, 436, 461];
    prop_oneof![4 => select(special), 4 => 0..470u32, 1 => 460..700u32, 1 => Just(0x3fff_ffff)]
}

/// A policy whose conditions are such.
pub(crate) fn policy(when: impl Strategy<Value = Expr>) -> impl Strategy<Value = Policy> {
    let rules = vec((when, action(), action()), 1..8);
    let baseline = prop_oneof![
        Just(None),
        (2..7u8, 0..20u8).prop_map(|(major, minor)| { Some(Version { major, minor, patch: 0 }) })
    ];
    let calls = vec((call(), any::<u16>()), 1..24);
    (rules, calls, baseline, action(), action(), vec(files(), 0..3)).prop_map(
        |(rules, calls, baseline, default, unknown, files)| {
            let text: String = (0..rules.len()).map(|at| format!("rule {at}\n")).collect();
            let calls: BTreeMap<u32, u16> =
                calls.into_iter().map(|(nr, rule)| (nr, rule % rules.len() as u16)).collect();
            let rule = |(at, (when, then, otherwise))| {
                let start = 7 * at as u32;
                Rule { span: Span { file: 0, start, end: start + 6 }, when, then, otherwise }
            };
            Policy {
                memory: Default::default(),
                name: "random".into(),
                version: 1,
                sources: vec![Source { name: "random.ia2".into(), text }],
                baseline,
                default,
                unknown,
                rules: rules.into_iter().enumerate().map(rule).collect(),
                calls: calls.into_iter().collect(),
                files,
                tests: Vec::new(),
            }
        },
    )
}

/// Arguments near constants of all kinds.
pub(crate) fn args() -> impl Strategy<Value = [u64; 6]> {
    [number(), number(), number(), number(), number(), number()]
}

/// A rule of an action alone, or of a condition with what happens if it holds and if it does not.
pub(crate) fn rule(when: Expr, then: ActionKind, otherwise: ActionKind) -> Rule {
    let action = |kind| Action { kind, ..Action::default() };
    Rule { span: Span::default(), when, then: action(then), otherwise: action(otherwise) }
}

/// `argument == constant`.
pub(crate) fn equals(index: u8, constant: u64, width: Width) -> Expr {
    Expr::Compare {
        op: Op::Eq,
        left: Value::Argument(index),
        right: Value::Constant(constant),
        width,
        signed: width == Width::W32,
    }
}

/// The policy of IA2's first proposal, `seed4`.
pub(crate) fn seed4() -> Policy {
    let text = "read         : fd == 0\n\
                write        : fd == 1\n\
                rt_sigreturn : 1\n\
                gettimeofday : tz == NULL\n";
    let span = |line: u32, len: u32| Span { file: 0, start: line, end: line + len };
    let kill = ActionKind::KillProcess;
    let allow = ActionKind::Allow;
    let rules = vec![
        Rule { span: span(0, 22), ..rule(equals(0, 0, Width::W32), allow, kill) },
        Rule { span: span(23, 22), ..rule(equals(0, 1, Width::W32), allow, kill) },
        Rule { span: span(46, 16), ..rule(Expr::True, allow, kill) },
        Rule { span: span(63, 25), ..rule(equals(1, 0, Width::W64), allow, kill) },
    ];
    Policy {
        name: "seed4".into(),
        version: 1,
        sources: vec![Source { name: "seed4.ia2".into(), text: text.into() }],
        default: Action { kind: kill, ..Action::default() },
        unknown: Action { kind: kill, ..Action::default() },
        rules,
        calls: vec![(0, 0), (1, 1), (15, 2), (96, 3)],
        ..Policy::default()
    }
}
