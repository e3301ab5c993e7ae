//! Every program of `c-tests`, natively and under the shim in every way: same output, same end.
//!
//! One test per program, C library and way; `cargo test --test c_programs sigaltstack` runs those
//! whose name contains the word.

use ia2_tests::c_program;
use ia2_tests::machine::ways;
use libtest_mimic::{Arguments, Failed, Trial};
use std::sync::Arc;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let mut trials = Vec::new();
    for program in c_program::all() {
        let program = Arc::new(program);
        for (name, way) in ways() {
            if program.wants(way) {
                let title = format!("{}::{}::{name}", program.name, program.libc);
                let program = Arc::clone(&program);
                trials.push(Trial::test(title, move || program.test(way).map_err(Failed::from)));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
