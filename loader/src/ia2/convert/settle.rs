//! Chains of steps become rules. A rule of ours has one condition and two outcomes; a chain has any
//! number of both, but most of them cannot happen: `a0 == 16 && a2 == 9`, `a2 != 9`, `a0 != 16` leaves
//! nothing for the default.
//!
//! What can happen is found by trying every truth of the tests in the chain, less those that two
//! equalities of one value exclude. That may keep an outcome that cannot happen, never lose one that can.

use super::foreign::{Action, Condition, Relation, Step, Term, Test};

/// More truths than this are not tried out.
const MOST_TRUTHS: usize = 1 << 14;

/// More work than this is not done to make a rule shorter.
const MOST_WORK: usize = 1 << 25;

/// A chain as a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) when: Condition,
    pub(crate) then: Action,
    pub(crate) otherwise: Action,
}

/// A rule, and the outcomes that had to be given up for it: each became the second action.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) body: Body,
    /// The steps that decide something.
    pub(crate) steps: Vec<Step>,
    pub(crate) changed: Vec<(Action, Action)>,
}

/// The rule that a chain before `default` amounts to.
pub(crate) fn settle(chain: &[Step], default: Action) -> Settled {
    let mut steps: Vec<Step> = Vec::new();
    let mut end = default;
    for step in chain {
        let when = simplify(step.when.clone());
        match when {
            Condition::False => {}
            Condition::True => {
                // The last step decides, and nothing behind it is reached.
                end = step.action;
                steps.push(Step { when: Condition::True, ..step.clone() });
                break;
            }
            when => steps.push(Step { when, ..step.clone() }),
        }
    }
    shorten(&mut steps, &mut end);
    let changed = merge_actions(&mut steps, &mut end);
    if !changed.is_empty() {
        shorten(&mut steps, &mut end);
    }
    let body = fold(&steps, end);
    Settled { body, steps, changed }
}

/// Steps without which nothing would be different go; an end that is never reached becomes the last
/// step's.
fn shorten(steps: &mut Vec<Step>, end: &mut Action) {
    let tests = tests_of(steps.iter().map(|step| &step.when));
    let Some(truths) = possible(&tests) else { return };
    let work = steps.len().saturating_mul(steps.len()).saturating_mul(truths.len());
    if work.saturating_mul(tests.len()) > MOST_WORK {
        return;
    }
    let outcome = |steps: &[Step], truth: u64, without: usize| -> Option<Action> {
        let holds = |test: &Test| truth_of(&tests, truth, test);
        let mut others = steps.iter().enumerate().filter(|(index, _)| *index != without);
        others.find(|(_, step)| evaluate(&step.when, &holds)).map(|(_, step)| step.action)
    };
    if truths.iter().all(|truth| outcome(steps, *truth, usize::MAX).is_some())
        && let Some(last) = steps.last_mut()
    {
        last.when = Condition::True;
        *end = last.action;
    }
    let mut index = 0;
    while index < steps.len() {
        let same = |truth: &u64| {
            let with = outcome(steps, *truth, usize::MAX).unwrap_or(*end);
            outcome(steps, *truth, index).unwrap_or(*end) == with
        };
        // An unconditional last step is the end itself, and is kept for its place.
        if steps[index].when != Condition::True && truths.iter().all(same) {
            steps.remove(index);
        } else {
            index += 1;
        }
    }
}

/// Two outcomes are all that a rule has. Of more, those that let the call through become the one that
/// also tells of it; those that refuse it become the mildest, for it is refused all the same, and a
/// program that expects an error does not die.
fn merge_actions(steps: &mut [Step], end: &mut Action) -> Vec<(Action, Action)> {
    let mut actions: Vec<Action> = steps.iter().map(|step| step.action).collect();
    actions.push(*end);
    actions.sort_unstable();
    actions.dedup();
    let mut changed = Vec::new();
    if actions.len() <= 2 {
        return changed;
    }
    for class in [true, false] {
        let of_class = || actions.iter().copied().filter(|action| action.lets_through() == class);
        let errors = || of_class().filter(|action| matches!(action, Action::Errno(_)));
        // A tracer may let the call through, so that is the mildest only if there is nothing else.
        let refusals = || of_class().filter(|action| !matches!(action, Action::Trace(_)));
        let chosen = match class {
            true => of_class().next(),
            false => {
                errors().find(|action| action == end).or(errors().next()).or(refusals().next_back())
            }
        };
        let Some(chosen) = chosen.or(of_class().next()) else { continue };
        for action in of_class().filter(|action| *action != chosen) {
            changed.push((action, chosen));
        }
    }
    for (from, to) in &changed {
        for action in steps.iter_mut().map(|step| &mut step.action).chain([&mut *end]) {
            if *action == *from {
                *action = *to;
            }
        }
    }
    changed
}

/// One condition for a chain with two outcomes: that the first step's is what happens.
fn fold(steps: &[Step], end: Action) -> Body {
    let conditional: Vec<&Step> =
        steps.iter().filter(|step| step.when != Condition::True).collect();
    let Some(first) = conditional.first() else {
        return Body { when: Condition::True, then: end, otherwise: end };
    };
    let then = first.action;
    let other = conditional.iter().map(|step| step.action).chain([end]).find(|a| *a != then);
    let Some(otherwise) = other else {
        return Body { when: Condition::True, then, otherwise: then };
    };
    let mut when = if end == then { Condition::True } else { Condition::False };
    for step in conditional.iter().rev() {
        let own = step.when.clone();
        // Steps of one action are beside each other, not inside.
        when = if step.action == then {
            beside(
                own,
                when,
                |when| match when {
                    Condition::Any(parts) => Ok(parts),
                    other => Err(other),
                },
                Condition::Any,
            )
        } else {
            beside(
                Condition::Not(Box::new(own)),
                when,
                |when| match when {
                    Condition::All(parts) => Ok(parts),
                    other => Err(other),
                },
                Condition::All,
            )
        };
    }
    Body { when: simplify(when), then, otherwise }
}

/// `first` in front of the parts of `rest`, or of `rest` itself.
fn beside(
    first: Condition,
    rest: Condition,
    parts: impl Fn(Condition) -> Result<Vec<Condition>, Condition>,
    join: impl Fn(Vec<Condition>) -> Condition,
) -> Condition {
    match parts(rest) {
        Ok(mut parts) => {
            parts.insert(0, first);
            join(parts)
        }
        Err(rest) => join(vec![first, rest]),
    }
}

/// With constants worked out, and nested `All` and `Any` flat.
pub(crate) fn simplify(condition: Condition) -> Condition {
    match condition {
        Condition::True | Condition::False => condition,
        Condition::Test(test) => simplify_test(test),
        Condition::Not(inner) => match simplify(*inner) {
            Condition::True => Condition::False,
            Condition::False => Condition::True,
            Condition::Not(inner) => *inner,
            Condition::Test(test) => {
                Condition::Test(Test { relation: test.relation.negated(), ..test })
            }
            inner => Condition::Not(Box::new(inner)),
        },
        Condition::All(parts) => {
            let mut flat = Vec::new();
            for part in parts {
                match simplify(part) {
                    Condition::True => {}
                    Condition::False => return Condition::False,
                    Condition::All(inner) => flat.extend(inner),
                    other => flat.push(other),
                }
            }
            dedup(&mut flat);
            if flat.is_empty() { Condition::True } else { Condition::all(flat) }
        }
        Condition::Any(parts) => {
            let mut flat = Vec::new();
            for part in parts {
                match simplify(part) {
                    Condition::False => {}
                    Condition::True => return Condition::True,
                    Condition::Any(inner) => flat.extend(inner),
                    other => flat.push(other),
                }
            }
            dedup(&mut flat);
            if flat.is_empty() { Condition::False } else { Condition::any(flat) }
        }
    }
}

fn dedup(parts: &mut Vec<Condition>) {
    let mut seen: Vec<Condition> = Vec::new();
    parts.retain(|part| {
        let new = !seen.contains(part);
        if new {
            seen.push(part.clone());
        }
        new
    });
}

fn simplify_test(test: Test) -> Condition {
    let mask = match test.bits {
        super::foreign::Bits::Low32 => u64::from(u32::MAX),
        super::foreign::Bits::All64 => u64::MAX,
    };
    let (left, right) = (narrow(test.left.folded(), mask), narrow(test.right.folded(), mask));
    let (left, relation, right) = match (left, right) {
        (Term::Number(a), Term::Number(b)) => {
            return if test.relation.holds(a, b) { Condition::True } else { Condition::False };
        }
        (Term::Number(a), right) => (right, test.relation.turned(), Term::Number(a)),
        (left, right) => (left, test.relation, right),
    };
    // The ends of the range, and masks that leave nothing.
    if let Term::Number(b) = right {
        match relation {
            Relation::Lt if b == 0 => return Condition::False,
            Relation::Ge if b == 0 => return Condition::True,
            Relation::Gt if b == mask => return Condition::False,
            Relation::Le if b == mask => return Condition::True,
            _ => {}
        }
        if let Term::And(_, bits) = &left
            && let Term::Number(bits) = **bits
        {
            match relation {
                Relation::Eq if b & !bits != 0 => return Condition::False,
                Relation::Ne if b & !bits != 0 => return Condition::True,
                Relation::Eq if bits == 0 => return Condition::True,
                Relation::Ne if bits == 0 => return Condition::False,
                _ => {}
            }
        }
    }
    // `x & all of it` is x.
    let left = match left {
        Term::And(inner, bits) if *bits == Term::Number(mask) => *inner,
        other => other,
    };
    Condition::Test(Test { left, relation, right, bits: test.bits })
}

/// Constants hold no more bits than count.
fn narrow(term: Term, mask: u64) -> Term {
    match term {
        Term::Number(value) => Term::Number(value & mask),
        Term::Argument(_) => term,
        Term::And(a, b) => Term::And(Box::new(narrow(*a, mask)), Box::new(narrow(*b, mask))),
        Term::Or(a, b) => Term::Or(Box::new(narrow(*a, mask)), Box::new(narrow(*b, mask))),
    }
}

/// Each different test, with `!=`, `>=` and `>` as the opposite of another.
fn tests_of<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Vec<Test> {
    let mut tests = Vec::new();
    for condition in conditions {
        each_test(condition, &mut |test| {
            let (test, _) = basic(test);
            if !tests.contains(&test) {
                tests.push(test);
            }
        });
    }
    tests
}

/// Calls `see` with each test.
pub(crate) fn each_test(condition: &Condition, see: &mut impl FnMut(&Test)) {
    match condition {
        Condition::True | Condition::False => {}
        Condition::Test(test) => see(test),
        Condition::Not(inner) => each_test(inner, see),
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                each_test(part, see);
            }
        }
    }
}

/// A test, or the opposite of one and `true`.
fn basic(test: &Test) -> (Test, bool) {
    match test.relation {
        Relation::Eq | Relation::Lt | Relation::Le => (test.clone(), false),
        other => (Test { relation: other.negated(), ..test.clone() }, true),
    }
}

fn truth_of(tests: &[Test], truth: u64, test: &Test) -> bool {
    let (test, negated) = basic(test);
    let at = tests.iter().position(|known| *known == test);
    at.is_some_and(|at| (truth >> at & 1 != 0) != negated)
}

fn evaluate(condition: &Condition, holds: &impl Fn(&Test) -> bool) -> bool {
    match condition {
        Condition::True => true,
        Condition::False => false,
        Condition::Test(test) => holds(test),
        Condition::Not(inner) => !evaluate(inner, holds),
        Condition::All(parts) => parts.iter().all(|part| evaluate(part, holds)),
        Condition::Any(parts) => parts.iter().any(|part| evaluate(part, holds)),
    }
}

/// The truths of the tests, a bit each, that no two equalities of one value exclude; `None` if there are
/// too many.
fn possible(tests: &[Test]) -> Option<Vec<u64>> {
    let excludes = |a: &Test, b: &Test| {
        let equalities = a.relation == Relation::Eq && b.relation == Relation::Eq;
        let same = a.left == b.left && a.bits == b.bits;
        let numbers = matches!((&a.right, &b.right), (Term::Number(a), Term::Number(b)) if a != b);
        equalities && same && numbers
    };
    if tests.len() > 64 {
        return None;
    }
    let mut truths = vec![0_u64];
    for (index, test) in tests.iter().enumerate() {
        let clashes =
            tests.iter().take(index).enumerate().filter(|(_, other)| excludes(test, other));
        let clashes = clashes.fold(0_u64, |all, (other, _)| all | 1 << other);
        let mut with: Vec<u64> =
            truths.iter().copied().filter(|truth| truth & clashes == 0).collect();
        for truth in &mut with {
            *truth |= 1 << index;
        }
        truths.extend(with);
        if truths.len() > MOST_TRUTHS {
            return None;
        }
    }
    Some(truths)
}

/// Whether both conditions can hold at once, as far as trying tells.
pub(crate) fn overlap(a: &Condition, b: &Condition) -> bool {
    let tests = tests_of([a, b].into_iter());
    possible(&tests).is_none_or(|truths| {
        truths.iter().any(|truth| {
            let holds = |test: &Test| truth_of(&tests, *truth, test);
            evaluate(a, &holds) && evaluate(b, &holds)
        })
    })
}
