//! What the packed tables say, when their rows are made into values, is what their sources say: the
//! way back from `tests/generate.rs`.

mod source;

use core::iter;
use ia2_core::{calls, constants, sets};

#[test]
fn calls_and_arguments_are_those_of_the_source() {
    let sources = source::calls();
    assert_eq!(calls::all().len(), sources.len());
    for (call, source) in calls::all().zip(&sources) {
        assert_eq!((call.nr, call.name, call.obsolete), (source.nr, &*source.name, source.gone));
        assert!(call.aliases().eq(source.aliases.iter().map(String::as_str)), "{}", source.place);
        assert_eq!(call.args.len(), source.args.len(), "{}", source.place);
        for (arg, source) in call.args.iter().zip(&source.args) {
            let names = source.names.iter().map(String::as_str);
            assert!(iter::once(arg.name).chain(arg.aliases()).eq(names.clone()), "{source:?}");
            assert!(names.clone().all(|name| arg.is_called(name)), "{source:?}");
            let set = arg.set.map(constants::Set::name);
            assert_eq!(set, source.set.as_deref(), "{source:?}");
        }
        let ia2 = calls::ia2(call.nr).unwrap_or_else(|| panic!("{}", source.place));
        let said = (ia2.category, ia2.seed, ia2.reason, ia2.seed_policy.is_some());
        let seed = source.seed.as_deref().unwrap_or_default();
        let was = source.seed_policy.is_some();
        assert_eq!(said, (&*source.category, seed, &*source.reason, was));
    }
    assert_eq!(calls::ia2(337), None);
}

#[test]
fn constants_are_those_of_the_source() {
    let sources = source::constants();
    assert_eq!(constants::Set::all().count(), sources.len());
    for (set, source) in constants::Set::all().zip(&sources) {
        let said = (set.name(), set.about(), set.is_flags());
        assert_eq!(said, (&*source.name, &*source.about, source.flags));
        let members = source::members(source, &sources);
        let wanted: Vec<_> = members.iter().map(|one| (one.name.as_str(), one.value)).collect();
        let found: Vec<(&str, u64)> = set.constants().collect();
        assert_eq!(found, wanted, "{}", source.name);
        for (name, value) in wanted {
            assert_eq!(set.value(name), Some(value), "{name}");
        }
    }
}

#[test]
fn sets_are_those_of_the_source() {
    let (sources, numbers) = (source::sets(), source::numbers());
    assert_eq!(sets::all().count(), sources.len());
    for (set, source) in sets::all().zip(&sources) {
        assert_eq!((set.name, set.about()), (&*source.name, &*source.about));
        let calls = source::flatten(&source.name, &sources, &numbers);
        assert!(set.calls.iter().eq(calls.iter().copied()), "{}", source.name);
        assert!(calls.iter().all(|nr| set.contains(*nr)), "{}", source.name);
    }
}
