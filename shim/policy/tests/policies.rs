//! The policies that are always there are right, and mean what they say.

use ia2_core::calls::{self, Ia2Policy, ia2};
use ia2_core::layout::{GATE, WINDOW_END};
use ia2_core::verdict::ActionKind;
use ia2_policy::eval::eval;
use ia2_policy::policy::{Expr, Policy, Rule};
use ia2_policy::source::{Memory, POLICIES};
use ia2_policy::{load, render};

const MAP_FIXED: u64 = 0x10;
const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;

fn built_in(name: &str) -> (Policy, Vec<String>) {
    let (policy, found, sources) = load(&format!("ia2:{name}"), &mut Memory::new());
    let lines: Vec<_> = found.iter().map(|found| render::line(found, &sources)).collect();
    (policy.unwrap_or_else(|| panic!("{lines:#?}")), lines)
}

fn rule<'p>(policy: &'p Policy, call: &str) -> Option<&'p Rule> {
    let nr = calls::by_name(call).unwrap_or_else(|| panic!("{call}")).nr;
    policy.rule_of(nr).map(|number| &policy.rules[number])
}

#[test]
fn built_in_policies_are_right() {
    for (name, _) in POLICIES {
        let (policy, _) = built_in(name);
        assert_eq!(policy.sources.len(), 1);
        assert!(policy.calls.is_sorted_by(|one, next| one.0 < next.0), "{name}");
    }
}

#[test]
fn seed4_is_the_table() {
    let ((one, said), (other, also)) = (built_in("seed4"), built_in("table"));
    assert_eq!((one.default, one.unknown), (other.default, other.unknown));
    assert_eq!(one.calls, other.calls);
    for (one, other) in one.rules.iter().zip(&other.rules) {
        assert_eq!((&one.when, &one.then), (&other.when, &other.then));
        assert_eq!(one.otherwise, other.otherwise);
    }
    for lines in [said, also] {
        let [exit, vdso] = &lines[..] else { panic!("{lines:?}") };
        assert!(exit.contains("W0401") && vdso.contains("N0402"), "{lines:?}");
    }
}

/// The calls that the table allows or forbids are allowed or forbidden, but for what nginx needs.
#[test]
fn nginx_is_the_table_of_ia2() {
    const NGINX: &[&str] = &["setuid", "setgid", "setgroups"];
    // Allowed by the table, but they can do what the calls beside them may not.
    const STRICTER: &[&str] = &["creat", "madvise"];
    let (policy, said) = built_in("nginx");
    assert!(said.iter().all(|line| line.contains("[L0303]")), "{said:#?}");
    for call in calls::all() {
        let Some(row) = ia2(call.nr) else { continue };
        let in_table = row.seed_policy.unwrap_or(row.policy);
        if row.seed.is_empty() || [NGINX, STRICTER].concat().contains(&call.name) {
            continue;
        }
        let Some(rule) = rule(&policy, call.name) else { panic!("{}", call.name) };
        match in_table {
            Ia2Policy::Allow => assert_eq!(rule.then.kind, ActionKind::Allow, "{}", call.name),
            Ia2Policy::Forbid => assert_eq!(rule.then.kind, ActionKind::Errno(1), "{}", call.name),
            Ia2Policy::Complex(_) => continue,
        }
        assert_eq!(rule.when, Expr::True, "{}", call.name);
    }
    assert_eq!(rule(&policy, "setuid").map(|rule| rule.then.kind), Some(ActionKind::Allow));
}

/// An address in the shim's window harms only what insists on it. (`ia2` leaves that to the filter of every
/// policy.)
#[test]
fn a_hint_in_the_window_is_no_attack() {
    const PRIVATE: u64 = 2;
    let mmap = calls::by_name("mmap").expect("it is known").nr;
    let said = |name: &str, addr: u64, flags: u64| {
        let args = [addr, 0x1000, 3, PRIVATE | flags, u64::MAX, 0];
        eval(&built_in(name).0, mmap, &args, &mut |_| panic!("numbers decide")).action
    };
    for inside in [GATE, WINDOW_END - 1, GATE - 0xfff] {
        for name in ["nginx", "ia2"] {
            assert_eq!(said(name, inside, 0), ActionKind::Allow, "{name}: {inside:#x}");
        }
        for fixed in [MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_FIXED | MAP_FIXED_NOREPLACE] {
            let said = said("nginx", inside, fixed);
            assert_eq!(said, ActionKind::KillProcess, "{inside:#x} {fixed:#x}");
        }
    }
    for outside in [0, WINDOW_END] {
        assert_eq!(said("nginx", outside, MAP_FIXED), ActionKind::Allow, "{outside:#x}");
    }
}

#[test]
fn capejail_is_a_blocklist() {
    let (policy, said) = built_in("capejail");
    assert!(said.iter().all(|line| line.contains("[L0303]")), "{said:#?}");
    assert_eq!(policy.default.kind, ActionKind::Allow);
    assert_eq!(policy.calls.len(), 90);
    assert!(rule(&policy, "read").is_none());
    let kind = |call| rule(&policy, call).map(|rule| rule.then.kind);
    assert_eq!(kind("ptrace"), Some(ActionKind::KillProcess));
    assert_eq!(kind("mount"), Some(ActionKind::Errno(1)));
    assert_eq!(kind("io_uring_setup"), Some(ActionKind::Errno(38)));
}

/// Every call of the table has in `ia2` what the table says: allowed, forbidden, or a rule of its own.
#[test]
fn ia2_is_the_whole_table() {
    let (policy, said) = built_in("ia2");
    assert!(!said.iter().any(|line| line.contains("error")), "{said:?}");
    for call in calls::all() {
        let rule = rule(&policy, call.name).unwrap_or_else(|| panic!("{} has no rule", call.name));
        let row = ia2(call.nr).unwrap_or_else(|| panic!("{} has no row", call.name));
        let is_plain = rule.when == Expr::True;
        match row.policy {
            Ia2Policy::Allow => {
                assert!(is_plain && rule.then.kind == ActionKind::Allow, "{}", call.name);
            }
            Ia2Policy::Forbid => {
                assert!(is_plain && !rule.then.kind.lets_through(), "{}", call.name);
            }
            // By a rule that names it: those of sets say their category.
            Ia2Policy::Complex(_) => {
                let text =
                    &policy.sources[0].text[rule.span.start as usize..rule.span.end as usize];
                assert!(!text.starts_with('@'), "{}: {text}", call.name);
            }
        }
    }
}
