//! What a policy is compiled to says what the policy means.

mod common;

use common::{args, condition, policy};
use ia2_core::blob::Section;
use ia2_core::bpf::Insn;
use ia2_core::cbpf::{Data, op, run, run_filter};
use ia2_core::layout::{ARGS_AFTER, FAST_AFTER};
use ia2_policy::compile::{Compiled, compile, compile_unverified};
use ia2_policy::eval::{Atom, eval};
use ia2_policy::policy::{Expr, Op, Policy, Value};
use ia2_policy::verify::{verify, verify_call};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest};
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestRunner};

fn calls_of(policy: &Policy) -> Vec<u32> {
    policy.calls.iter().map(|row| row.0).chain([0, 59, 257, 600]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// At the boundaries, and at random.
    #[test]
    fn random_policies_mean_the_same_everywhere(
        policy in policy(condition()),
        trials in proptest::collection::vec(args(), 40),
    ) {
        let compiled = compile(&policy).map_err(|errors| TestCaseError::fail(errors[0].message.clone()))?;
        for nr in calls_of(&policy) {
            for args in &trials {
                prop_assert_eq!(verify_call(&policy, &compiled, nr, args), Ok(()));
            }
        }
    }

    /// What the kernel decides alone is what the shim would decide, whatever the answers are.
    #[test]
    fn kernel_never_decides_what_it_cannot_know(
        policy in policy(condition()),
        args in args(),
        answers in any::<u64>(),
    ) {
        let compiled = compile_unverified(&policy).unwrap();
        for nr in calls_of(&policy) {
            let mut asked = 0;
            let meant = eval(&policy, nr, &args, &mut |_: Atom<'_>| {
                asked += 1;
                Ok(answers >> (asked % 64) & 1 != 0)
            });
            let action = run_filter(&compiled.strict[..], &Data::new(nr, FAST_AFTER, &args));
            // Allowed without a trap: then it is meant, and nobody was asked.
            if action == ia2_core::bpf::RET_ALLOW && nr < 0x4000_0000 {
                assert_eq!((meant.action, asked), (ia2_core::verdict::ActionKind::Allow, 0));
            }
        }
    }
}

/// Puts another instruction into one of the three programs, and into its copy in the compiled form, as if
/// the compiler had made it.
fn replace(compiled: &mut Compiled, program: Section, place: usize, insn: Insn) {
    let Insn { code, jt, jf, k } = insn;
    let at = 16 + 8 * program as usize;
    let offset = u32::from_le_bytes(compiled.blob[at..at + 4].try_into().unwrap()) as usize;
    let at = offset + 8 * place;
    let [a, b] = code.to_le_bytes();
    let [c, d, e, f] = k.to_le_bytes();
    compiled.blob[at..at + 8].copy_from_slice(&[a, b, jt, jf, c, d, e, f]);
    program_of(compiled, program)[place] = insn;
}

fn program_of(compiled: &mut Compiled, program: Section) -> &mut Vec<Insn> {
    match program {
        Section::Strict => &mut compiled.strict,
        Section::Inspected => &mut compiled.inspected,
        _ => &mut compiled.shim,
    }
}

/// The check after each compile finds a program that is wrong: a test by one too many, or turned around,
/// or another end. Whether it is wrong at all, calls at random tell: those of them that it does not find
/// are few.
#[test]
fn wrong_programs_are_found() {
    let mut runner = TestRunner::deterministic();
    let policies = policy(condition());
    let trials = proptest::collection::vec(args(), 60);
    let (mut wrong, mut missed) = (0, Vec::new());
    for round in 0..3000usize {
        let policy = policies.new_tree(&mut runner).unwrap().current();
        let trials = trials.new_tree(&mut runner).unwrap().current();
        let mut compiled = compile_unverified(&policy).unwrap();
        let section = [Section::Strict, Section::Inspected, Section::Shim][round % 3];
        let good = program_of(&mut compiled, section).clone();
        let place = any::<proptest::sample::Index>().new_tree(&mut runner).unwrap();
        let place = place.current().index(good.len());
        let was = good[place];
        let now = match (was.code, round / 3 % 3) {
            (op::LD_W_ABS, _) => Insn { k: (was.k + 4) % 64, ..was },
            (op::RET_K, _) if section == Section::Shim => Insn { k: u32::from(was.k == 0), ..was },
            (op::RET_K, _) => Insn { k: was.k ^ 1 << 16, ..was },
            (_, 0) => Insn { k: was.k.wrapping_add(1), ..was },
            (_, 1) => Insn { k: was.k.wrapping_sub(1), ..was },
            _ => Insn { jt: was.jf, jf: was.jt, ..was },
        };
        replace(&mut compiled, section, place, now);
        let bad = program_of(&mut compiled, section).clone();
        let differs = |nr: u32, args: &[u64; 6], ip| {
            let data = Data::new(nr, ip, args);
            let run = |program: &[Insn]| run(program, &data, |_| Err(())).ok();
            run(&good) != run(&bad)
        };
        let is_wrong = calls_of(&policy).into_iter().any(|nr| {
            let mut all = trials.iter().flat_map(|args| [(args, FAST_AFTER), (args, ARGS_AFTER)]);
            all.any(|(args, ip)| differs(nr, args, ip))
        });
        if is_wrong {
            wrong += 1;
            if verify(&policy, &compiled).is_ok() {
                missed.push((section, place, was, now));
            }
        }
    }
    assert!(wrong > 200, "hardly any of them was wrong: {wrong}");
    assert!(missed.len() * 100 <= wrong * MISSED, "{} of {wrong}: {missed:?}", missed.len());
}

/// Per cent.
const MISSED: usize = 1;

/// A condition so wide that no machine takes it.
#[test]
fn too_large_a_policy_is_refused_with_its_size() {
    let part = |k: u64| {
        let factor = |arg, by: u64| Expr::Compare {
            op: Op::Gt,
            left: Value::And(Box::new(Value::Argument(arg)), Box::new(Value::Constant(k * by))),
            right: Value::Constant(k),
            width: ia2_core::calls::Width::W64,
            signed: false,
        };
        Expr::And(vec![factor(0, 3), factor(1, 1 << 32 | 5)])
    };
    let mut policy = Policy::default();
    policy.rules.push(ia2_policy::policy::Rule {
        span: Default::default(),
        when: Expr::Or((1..1000).map(part).collect()),
        then: Default::default(),
        otherwise: ia2_policy::policy::Action {
            kind: ia2_core::verdict::ActionKind::Errno(1),
            ..Default::default()
        },
    });
    policy.calls.push((1, 0));
    let errors = compile(&policy).unwrap_err();
    assert_eq!(errors[0].code.0, "E0801");
    assert!(errors[0].message.contains("of at most 4096"), "{}", errors[0].message);
    let Expr::Or(parts) = &mut policy.rules[0].when else { unreachable!() };
    parts.truncate(150);
    let compiled = compile(&policy).unwrap();
    assert_eq!(compiled.warnings[0].code.0, "W0801", "{}", compiled.strict.len());
}

#[test]
fn too_deep_a_condition_is_refused() {
    let mut policy = Policy::default();
    let mut when = Expr::From(ia2_policy::policy::Caller::Jit);
    for _ in 0..200 {
        when = Expr::Not(Box::new(when));
    }
    policy.rules.push(ia2_policy::policy::Rule {
        span: Default::default(),
        when,
        then: Default::default(),
        otherwise: Default::default(),
    });
    assert_eq!(compile(&policy).unwrap_err()[0].code.0, "E0802");
}
