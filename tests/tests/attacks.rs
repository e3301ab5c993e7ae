//! Every attack of `tests/attacks`: it succeeds natively, and under the shim it ends as its head says.
//!
//! One test per program, way, user and policy; `cargo test --test attacks t023` runs those whose name
//! contains the word. With `IA2_BLESS=1` the page about them is written and not compared.

use ia2_tests::artifacts::workspace;
use ia2_tests::attack::{self, Attack, Claim, Entry, Stage, Step, User, WAYS, Without};
use ia2_tests::c_program::difference;
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

/// The cases of the threat model.
const CASES: core::ops::RangeInclusive<u32> = 1..=114;

/// Each case has a program, or a row that says where it is tested or why it is not.
fn every_case_is_accounted_for() -> Result<(), Failed> {
    let mut seen: BTreeMap<u32, usize> = CASES.map(|case| (case, 0)).collect();
    for attack in attack::all()? {
        for case in attack.cases {
            *seen.get_mut(&case).ok_or_else(|| format!("T{case} is no case"))? += 1;
        }
    }
    for row in attack::elsewhere()? {
        *seen.get_mut(&row.case).ok_or_else(|| format!("T{} is no case", row.case))? += 1;
    }
    let missing: Vec<u32> = seen.into_iter().filter(|one| one.1 == 0).map(|one| one.0).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("nobody says anything of {missing:?}").into()),
    }
}

fn the_page_says_what_the_heads_say() -> Result<(), Failed> {
    let path = workspace().join("docs/threat-model.md");
    let page = attack::page(&attack::all()?, &attack::elsewhere()?);
    if std::env::var_os("IA2_BLESS").is_some() {
        return Ok(fs::write(path, page)?);
    }
    let written = fs::read_to_string(&path)?;
    match written == page {
        true => Ok(()),
        false => Err(difference(page.as_bytes(), written.as_bytes()).into()),
    }
}

/// The control of the runner: heads that claim what is not so, and heads that are none.
fn a_wrong_claim_is_found() -> Result<(), Failed> {
    const HEAD: &str = "//# case: T01\n//# title: t\n//# layers: B\n//# policy: ia2\n//# users: root\n//# twin: t\n";
    let step = |claim: &str| -> Result<Step, Failed> {
        let attack = Attack::parse("t", &format!("{HEAD}//# attack: a = {claim}\n"))?;
        Ok(attack.attacks.into_iter().next().ok_or("an attack")?)
    };
    let (native, under) = (WAYS[0], WAYS[1]);
    let [refused, by_gate, open, fails]: [&[(&str, &str)]; 4] = [
        &[("call", "EPERM"), ("fast", "EPERM"), ("raw", "EPERM")],
        &[("call", "EPERM"), ("fast", "EPERM"), ("raw", "succeeded")],
        &[("call", "succeeded"), ("fast", "succeeded"), ("raw", "succeeded")],
        &[("call", "EPERM")],
    ];
    let holds = |claim: &str, outcomes| -> Result<bool, Failed> {
        Ok(step(claim)?.judge(User::Root, under, outcomes).is_ok())
    };
    for (claim, outcomes, wanted) in [
        ("A2 EPERM", refused, true),
        ("A2 EPERM", by_gate, false),
        ("A2 EACCES", refused, false),
        ("A2 EACCES|EPERM", refused, true),
        ("A1 EPERM", by_gate, true),
        ("A1 EPERM", refused, false),
        ("A1 EPERM", open, false),
        ("open: why", open, true),
        ("open: why", by_gate, false),
        ("A2 EPERM", fails, false),
    ] {
        if holds(claim, outcomes)? != wanted {
            return Err(format!("{claim} with {outcomes:?}").into());
        }
    }
    if step("A2 EPERM")?.judge(User::Root, native, fails).is_ok() {
        return Err("a control that fails".into());
    }
    let newer = Attack::parse(
        "t",
        &format!("{HEAD}//# attack: a = A2 EPERM\n//# without mseal: a = unknown EPERM\n"),
    )?;
    let [Without { feature, step: newer }] = newer.without.as_slice() else {
        return Err("what is so without a feature".into());
    };
    for (way, outcomes, wanted) in [
        (native, fails, true),
        (native, &[("call", "EINVAL")], false),
        (native, &[("call", "succeeded")], false),
        (under, refused, true),
        (under, by_gate, false),
    ] {
        if newer.judge(User::Root, way, outcomes).is_ok() != wanted {
            return Err(format!("without {}: {outcomes:?}", feature.name).into());
        }
    }
    for line in [
        "attack: a = A3 EPERM",
        "attack: a",
        "attack: a = open:",
        "odd: a",
        "attack: a [b] = A2 EPERM",
        "attack: a = unknown EPERM",
        "without mseal: b = A2 EPERM",
        "without mseal: a",
        "without luck: a = A2 EPERM",
    ] {
        if Attack::parse("t", &format!("{HEAD}//# attack: a = A2 EPERM\n//# {line}\n")).is_ok() {
            return Err(line.into());
        }
    }
    match step("open: why")?.claim {
        Some(Claim::Open(why)) if why == "why" => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn main() -> Result<(), String> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let mut trials = vec![
        Trial::test("every_case_is_accounted_for", every_case_is_accounted_for),
        Trial::test("the_page_says_what_the_heads_say", the_page_says_what_the_heads_say),
        Trial::test("a_wrong_claim_is_found", a_wrong_claim_is_found),
    ];
    let stage = Arc::new(Stage::default());
    for attack in attack::all()? {
        let attack = Arc::new(attack);
        for user in attack.users.clone() {
            for way in WAYS {
                for policy in attack.policies.clone() {
                    if way.entry == Entry::Native && attack.policies.first() != Some(&policy) {
                        continue;
                    }
                    let whose = if user == User::Root { "root" } else { "unprivileged" };
                    let title = format!("{}::{}::{whose}::{policy}", attack.name, way.name);
                    let (attack, stage) = (Arc::clone(&attack), Arc::clone(&stage));
                    let run = move || Ok(attack.test(&stage, user, way, &policy)?);
                    let trial = Trial::test(title, run);
                    // Shown as ignored: only root can be root.
                    trials.push(trial.with_ignored_flag(user == User::Root && !attack::is_root()));
                }
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(stage); // `exit` drops nothing
    conclusion.exit();
}
