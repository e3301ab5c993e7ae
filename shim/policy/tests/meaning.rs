//! What a policy is compiled to says what the policy means.

mod common;

use common::{args, condition, number, policy};
use ia2_core::cbpf::{Data, op, run_filter};
use ia2_core::layout::{ARGS_AFTER, FAST_AFTER};
use ia2_policy::compile::{compile, compile_unverified};
use ia2_policy::eval::{Atom, eval};
use ia2_policy::policy::{Expr, Op, Policy, Value};
use ia2_policy::verify::{verify, verify_call};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, prop_assume, proptest};
use proptest::test_runner::TestCaseError;

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

    /// The check after each compile finds a program that was changed.
    #[test]
    fn changed_programs_are_found(
        policy in policy(condition()),
        at in any::<proptest::sample::Index>(),
        change in number(),
    ) {
        let mut compiled = compile_unverified(&policy).unwrap();
        // An end that calls come to: another thing returned there is another meaning.
        let reached = |place: usize| {
            let mut other = compiled.strict.clone();
            other[place].k ^= 1;
            calls_of(&policy).into_iter().any(|nr| {
                [FAST_AFTER, ARGS_AFTER].into_iter().any(|ip| {
                    let data = Data::new(nr, ip, &[0; 6]);
                    run_filter(&compiled.strict[..], &data) != run_filter(&other[..], &data)
                })
            })
        };
        let ends: Vec<usize> = (0..compiled.strict.len())
            .filter(|place| compiled.strict[*place].code == op::RET_K && reached(*place))
            .collect();
        let place = *at.get(&ends);
        prop_assume!(compiled.strict[place].k != change as u32);
        compiled.strict[place].k = change as u32;
        assert!(verify(&policy, &compiled).is_err());
    }
}

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
