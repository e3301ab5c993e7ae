//! What calls cost: the logarithm of the number of rules, and nothing where the kernel knows the answer.

mod common;

use common::{equals, rule, seed4};
use ia2_core::blob::Blob;
use ia2_core::calls::Width;
use ia2_core::nr;
use ia2_core::verdict::ActionKind;
use ia2_policy::compile::{compile, exempted};
use ia2_policy::listing::{Machine, c_array, listing};
use ia2_policy::policy::{Action, Expr, Policy};

/// Every third number has a rule of its own, with an errno of its own.
fn many(rules: u32) -> Policy {
    let mut policy = Policy::default();
    policy.unknown.kind = ActionKind::Errno(38);
    for index in 0..rules {
        let errno = ActionKind::Errno(1 + index as u16 % 100);
        let when = equals(0, u64::from(index) * 3, Width::W32);
        policy.rules.push(rule(when, ActionKind::Allow, errno));
        policy.calls.push((1000 + index * 3, index as u16));
    }
    policy
}

#[test]
fn cost_grows_with_the_logarithm_of_the_rules() {
    let mut last = 0;
    for doublings in 0..8 {
        let rules = 1 << doublings;
        let compiled = compile(&many(rules)).unwrap();
        let worst = |cost: fn(&ia2_policy::cost::Cost) -> usize| {
            let numbers = (0..rules).map(|index| 1000 + index * 3);
            numbers.map(|nr| cost(&compiled.cost(nr))).max().unwrap()
        };
        let (strict, inspected, shim) =
            (worst(|cost| cost.strict), worst(|cost| cost.inspected), worst(|cost| cost.shim));
        // One test for each halving, and now and then one more for a jump that is too long.
        let halvings = doublings as usize + 7;
        assert!(strict <= 20 + halvings * 3 / 2, "{rules} rules: {strict}");
        assert!(inspected <= 22 + halvings * 3, "{rules} rules: {inspected}");
        assert!(shim <= 8 + halvings * 3 / 2, "{rules} rules: {shim}");
        assert!(rules == 1 || strict <= last + 3, "{rules} rules: {strict} after {last}");
        last = strict;
    }
}

#[test]
fn calls_that_everybody_may_make_are_cached() {
    let mut policy = Policy { name: "open".into(), ..Policy::default() };
    policy.unknown.kind = ActionKind::Errno(38);
    policy.rules.push(rule(Expr::False, ActionKind::Allow, ActionKind::Errno(1)));
    policy.calls = vec![(100, 0), (200, 0)];
    let compiled = compile(&policy).unwrap();
    for nr in 0..512 {
        let is_known = ia2_core::calls::by_nr(nr).is_some();
        let is_cached = is_known
            && ![100, 200].contains(&nr)
            && !nr::is_inspected(nr)
            && ia2_core::bpf::guard(nr).is_none();
        assert_eq!(compiled.cost(nr).is_cached, is_cached, "{nr}");
    }
}

#[test]
fn what_the_shim_needs_is_named_where_the_policy_refuses_it() {
    let policy = seed4();
    // Nothing is executed, so what exec takes is not let pass.
    let numbers = exempted(&policy);
    assert!(numbers.contains(&nr::MMAP) && numbers.contains(&nr::READ));
    assert!(!numbers.contains(&nr::RT_SIGRETURN) && !numbers.contains(&nr::EXECVEAT));
    let mut open = Policy::default();
    assert_eq!(exempted(&open), []);
    open.rules.push(rule(Expr::True, ActionKind::Errno(1), ActionKind::Allow));
    open.calls = vec![(41, 0), (nr::FCNTL, 0), (nr::OPENAT, 0)];
    assert_eq!(exempted(&open), [nr::FCNTL, nr::OPENAT]);
}

#[test]
fn listings_say_what_programs_do() {
    let mut policy = seed4();
    policy.rules[3].otherwise = Action { kind: ActionKind::Errno(22), ..Action::default() };
    policy.default = Action { kind: ActionKind::Errno(1), ..Action::default() };
    policy.unknown = Action { kind: ActionKind::Errno(38), ..Action::default() };
    let compiled = compile(&policy).unwrap();
    let blob = Blob::parse(&compiled.blob).unwrap();
    insta::assert_snapshot!("strict", listing(&compiled.strict, Machine::Kernel(Some(&blob))));
    insta::assert_snapshot!("shim", listing(&compiled.shim, Machine::Shim(&blob)));
    insta::assert_snapshot!("c", c_array(&compiled.inspected, "filter"));
}
