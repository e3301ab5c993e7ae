//! Whatever is written, `load` comes back: with a policy or with an error, and with places that exist. What
//! is a policy can be compiled.

mod common;
mod texts;

use core::panic::AssertUnwindSafe;
use ia2_policy::compile::compile;
use ia2_policy::policy::Policy;
use ia2_policy::source::{Memory, POLICIES};
use ia2_policy::verify::verify_call;
use ia2_policy::{load_with, render};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy, ValueTree};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::env;
use std::panic::{catch_unwind, resume_unwind};
use std::time::Instant;
use texts::{PARTS, Random, cut, mutate, written};

/// Loads a text and checks what must hold of every answer.
fn load_anything(text: &str) -> Option<Policy> {
    load_with_rules(text, &[])
}

/// The same, with rules of a command line.
fn load_with_rules(text: &str, rules: &[&str]) -> Option<Policy> {
    let texts = Memory::new()
        .with("t", text)
        .with("a", "read : fd == 0 default errno ENOSYS include \"t\"");
    let (policy, found, sources) = load_with("t", rules, &mut texts.clone());
    let errors = found.iter().any(|found| found.code.0.starts_with('E'));
    assert_eq!(policy.is_none(), errors, "{found:?}");
    for found in &found {
        for span in [found.span].into_iter().chain(found.related.iter().map(|(span, _)| *span)) {
            let text = &sources[usize::from(span.file)].text;
            assert!(text.get(span.start as usize..span.end as usize).is_some(), "{found:?}");
        }
        let line = render::line(found, &sources);
        assert!(!line.contains(['\n', '\0', '\u{1b}']), "{line:?}");
    }
    let policy = policy?;
    assert!(policy.calls.is_sorted_by(|one, next| one.0 < next.0));
    assert!(policy.calls.iter().all(|(_, rule)| usize::from(*rule) < policy.rules.len()));
    Some(policy)
}

/// How many texts to try; more with, say, `IA2_FUZZ=100000`.
fn iterations() -> u32 {
    let asked = env::var("IA2_FUZZ").ok().and_then(|asked| asked.parse().ok());
    asked.unwrap_or(if cfg!(debug_assertions) { 500 } else { 10_000 })
}

fn parts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        9 => (0..PARTS.len()).prop_map(|index| PARTS[index].to_owned()),
        1 => "[a-zA-Z_@#.0-9]{1,6}",
    ];
    let space = prop_oneof![4 => Just(" "), 1 => Just(""), 1 => Just("\n")];
    vec((part, space), 0..60)
        .prop_map(|all| all.into_iter().map(|(part, space)| part + space).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(iterations()))]

    #[test]
    fn any_tokens(text in parts()) {
        load_anything(&text);
        load_anything(&format!("policy t version 1\ndefault kill_process\nread : {text}"));
        load_anything(&format!("policy t version 1\ndefault deny\n{text}\nwrite : fd == 1\n"));
    }

    #[test]
    fn any_characters(text in any::<String>()) {
        load_anything(&text);
        load_anything(&format!("{{ {{ \"read\", \"{text}\" }} }}"));
    }
}

/// Policies that are nearly right: real ones, with parts exchanged, left out and doubled.
#[test]
fn mutations() {
    let texts = written();
    let mut random = Random::new(1);
    for _ in 0..iterations() {
        mutation(&texts, &mut random);
    }
}

/// Long ones are cut, so that there can be many.
fn mutation(texts: &[String], random: &mut Random) {
    let text = &texts[random.below(texts.len())];
    let mutated = mutate(&cut(text, random), random);
    load_anything(&mutated);
    load_anything(&format!("policy t version 1\ndefault kill_process\nexit : 1\n{mutated}"));
}

/// Loads a text and compiles what it means; gives whether that is a policy, and one that can be compiled.
fn compile_anything(text: &str) -> [bool; 2] {
    compile_with_rules(text, &[])
}

fn compile_with_rules(text: &str, rules: &[&str]) -> [bool; 2] {
    let Some(policy) = load_with_rules(text, rules) else { return [false, false] };
    [true, compile_and_try(&policy, &mut Random::new(text.len() as u64))]
}

/// Compiles a policy, which may only fail for its size, and puts some calls to what came out of it.
fn compile_and_try(policy: &Policy, random: &mut Random) -> bool {
    let compiled = match compile(policy) {
        Ok(compiled) => compiled,
        Err(errors) => {
            let is_size = |code: &str| matches!(code, "E0801" | "E0802" | "E0803" | "E0804");
            assert!(errors.iter().all(|error| is_size(error.code.0)), "{errors:?}");
            return false;
        }
    };
    for nr in policy.calls.iter().map(|row| row.0).chain([0, 59, 600]).take(12) {
        let args = [0; 6].map(|_: u64| {
            let near = 1u64 << random.below(64);
            near.wrapping_add(random.below(5) as u64).wrapping_sub(2)
        });
        assert_eq!(verify_call(policy, &compiled, nr, &args), Ok(()));
    }
    true
}

/// What one round gave.
#[derive(Default)]
struct Count {
    texts: u64,
    policies: u64,
    compiled: u64,
}

impl Count {
    fn add(&mut self, [is_policy, is_compiled]: [bool; 2]) {
        self.texts += 1;
        self.policies += u64::from(is_policy);
        self.compiled += u64::from(is_compiled);
    }
}

/// One round: a few of everything, from a seed of its own.
fn round(seed: u64, written: &[String]) -> Count {
    let mut random = Random::new(seed);
    let mut count = Count::default();
    let mut bytes = [0; 32];
    bytes.fill_with(|| random.below(256) as u8);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    for _ in 0..8 {
        let text = parts().new_tree(&mut runner).expect("a tree").current();
        load_anything(&text);
        count.add(compile_anything(&format!("policy t version 1\ndefault deny\n{text}\n")));
        let text = any::<String>().new_tree(&mut runner).expect("a tree").current();
        count.add(compile_anything(&text));
        mutation(written, &mut random);
        let whole = texts::policy(&mut random);
        count.add(compile_anything(&whole));
        count.add(compile_anything(&mutate(&whole, &mut random)));
        // What is defined is there already.
        let other = texts::policy(&mut random);
        let is_new = |line: &&str| !line.starts_with("const") && !line.starts_with("set");
        let rules: Vec<&str> = other.lines().filter(is_new).collect();
        count.add(compile_with_rules(&whole, &[&rules.join("\n")]));
        count.add(compile_with_rules(&whole, &[&cut(&other, &mut random), &text]));
    }
    // As the types allow, and no text says.
    let policy = common::policy(common::condition()).new_tree(&mut runner).expect("a tree");
    count.add([true, compile_and_try(&policy.current(), &mut random)]);
    let built_in = mutate(&written[random.below(POLICIES.len())], &mut random);
    count.add(compile_anything(&built_in));
    count
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|e| panic!("{variable}={text}: {e}")))
}

/// Some rounds; with `IA2_FUZZ_MINUTES` (`make fuzz`) as many as there are in that time, with
/// `IA2_FUZZ_ROUND` just this one.
#[test]
fn rounds() {
    let seed = number("IA2_FUZZ_SEED").unwrap_or(1);
    let minutes = number("IA2_FUZZ_MINUTES");
    println!("seed {seed}");
    let texts = written();
    let (start, mut all, mut slowest) = (Instant::now(), Count::default(), (0.0, 0));
    let is_over = |at: u64| match minutes {
        Some(minutes) => start.elapsed().as_secs() >= minutes * 60,
        None => at >= 12,
    };
    let first = number("IA2_FUZZ_ROUND");
    for at in first.unwrap_or(0).. {
        if first.map_or_else(|| is_over(at), |only| at > only) {
            break;
        }
        let began = Instant::now();
        let seed_of_round = seed.wrapping_mul(1 << 32).wrapping_add(at);
        let result = catch_unwind(AssertUnwindSafe(|| round(seed_of_round, &texts)));
        let count = result.unwrap_or_else(|panic| {
            eprintln!("again: make fuzz SEED={seed} ROUND={at}");
            resume_unwind(panic);
        });
        all.texts += count.texts;
        all.policies += count.policies;
        all.compiled += count.compiled;
        let took = began.elapsed().as_secs_f64();
        if took > slowest.0 {
            slowest = (took, at);
        }
    }
    // Most of the texts that are meant to be policies are.
    assert!(all.compiled * 8 > all.texts, "{} of {}", all.compiled, all.texts);
    let Count { texts, policies, compiled } = all;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{texts} texts in {seconds:.0} s, {:.0} a second; {policies} policies, {compiled} \
         compiled; the slowest round was {}, {:.2} s",
        texts as f64 / seconds,
        slowest.1,
        slowest.0
    );
}

/// Nothing is worse than a constant times its length, and no depth is too deep.
#[test]
fn large_texts() {
    const MANY: usize = if cfg!(debug_assertions) { 1 << 14 } else { 1 << 20 };
    let head = "policy t version 1\ndefault kill_process\nexit : 1\n";
    let parts = [
        "(",
        ")",
        "{",
        "}",
        "!",
        "~",
        "-",
        "read",
        "read,",
        "read :",
        "read : ",
        "?",
        "@",
        "#",
        "#?",
        "#? ",
        "\"",
        "\\",
        "fd == ",
        "fd |",
        "fd << 1 << ",
        "fd == 0 ||",
        "fd == 0 && ",
        "in {",
        "{ {",
        "f(",
        "1,",
        "\n",
        "\nread,",
        "\nset",
        "\n1",
        "\nread :",
        "\nread : 1",
        "\nread : fd == 0",
        "\n@io-event : 1",
        "\nconst X = 1",
        "\nset @x = { read",
        "\ndefault allow",
        "\ninclude \"t\"",
        "\nfiles ro \"/\"",
        "\n#? read(0) -> allow",
        "\nlayer x {",
        "$",
        "é",
        "\u{202e}",
        "a.",
        "a-",
        "1_",
        "..",
        "\nread : fd = 1\n  , write",
        "\nopen : path in {\"/a\"}",
    ];
    for part in parts {
        let text = head.to_owned() + &part.repeat(MANY / part.len());
        load_anything(&text);
        load_anything(&text[head.len()..]);
        load_anything(&format!("{head}read : {}", &text[head.len()..]));
    }
    let list = "fd == 0 || ".repeat(MANY / 20) + "fd == 1";
    load_anything(&format!("{head}read : {list}"));
    let list = "7, ".repeat(MANY / 3);
    load_anything(&format!("{head}read : fd in {{ {list} }}"));
    let list = "O_CREAT | ".repeat(MANY / 10);
    load_anything(&format!("{head}open : flags has {list} O_CREAT"));
    let list: String =
        (0..MANY / 20).map(|at| format!("const X{at} = {at}\nset @x{at} = {{ read }}\n")).collect();
    load_anything(&format!("{head}{list}"));
    let list: String = (0..MANY / 5).map(|at| format!("{}, ", at * 2)).collect();
    load_anything(&format!("{head}read : fd in {{ {list} }}"));
}
