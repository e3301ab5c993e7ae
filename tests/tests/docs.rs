//! The examples of `docs/policy.md` are policies, and their unit tests hold.

use ia2_core::verdict::ActionKind;
use ia2_policy::eval::eval;
use ia2_policy::policy::{Expected, Policy};
use ia2_policy::source::Memory;
use ia2_tests::artifacts::workspace;
use std::fs;

/// What stands before rules that have no header of their own.
const HEADER: &str = "policy example version 1\ndefault errno EPERM\nunknown errno ENOSYS\n";

/// The texts between "```ia2" and "```", with the numbers of their lines.
fn examples(page: &str) -> Vec<(usize, String)> {
    let (mut all, mut inside) = (Vec::new(), false);
    for (number, line) in page.lines().enumerate() {
        match (inside, line) {
            (false, "```ia2") => {
                inside = true;
                all.push((number + 1, String::new()));
            }
            (true, "```") => inside = false,
            (true, _) => {
                if let Some((_, text)) = all.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            (false, _) => {}
        }
    }
    all
}

fn check(policy: &Policy, number: usize) {
    for test in &policy.tests {
        // An argument that does not matter is tried with several values.
        for other in [0, 1, u64::MAX] {
            let args = test.args.map(|arg| arg.unwrap_or(other));
            let said = eval(policy, test.nr, &args, &mut |_| Ok(true)).action;
            let holds = match test.expected {
                Expected::Allow => said.lets_through(),
                Expected::Deny => !said.lets_through(),
                Expected::Exactly(action) => said == action,
            };
            assert!(holds, "line {number}: {test:?} with {other:#x}: {said:?}");
        }
    }
}

#[test]
fn every_example_is_a_policy() {
    let page = workspace().join("docs/policy.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let examples = examples(&page);
    assert!(examples.len() >= 8, "{} examples", examples.len());
    let mut tests = 0;
    for (number, text) in examples {
        let whole = text.starts_with("policy") || text.starts_with('{');
        let text = if whole { text } else { format!("{HEADER}{text}") };
        let (policy, findings, _) =
            ia2_policy::load("main.ia2", &mut Memory::new().with("main.ia2", &text));
        let policy = policy.unwrap_or_else(|| panic!("line {number}: {findings:?}"));
        ia2_policy::compile::compile(&policy).unwrap_or_else(|e| panic!("line {number}: {e:?}"));
        tests += policy.tests.len();
        check(&policy, number);
    }
    assert!(tests >= 15, "{tests} unit tests");
}

/// The control: an example that is wrong is found.
#[test]
fn a_wrong_example_is_found() {
    let text = format!("{HEADER}mkdir : errno EPERM\n#? mkdir(_, _) -> allow\n");
    let (policy, ..) = ia2_policy::load("main.ia2", &mut Memory::new().with("main.ia2", &text));
    let policy = policy.expect("it is a policy");
    let test = policy.tests.first().expect("it has a test");
    let said = eval(&policy, test.nr, &[0; 6], &mut |_| Ok(true)).action;
    assert_eq!((test.expected, said), (Expected::Allow, ActionKind::Errno(1)));
}
