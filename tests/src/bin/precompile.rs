//! Compiles the C programs of the tests `c_programs` and `attacks`, for machines where that would take long.

use ia2_tests::{attack, c_program};

fn main() -> Result<(), String> {
    for program in c_program::all() {
        program.compiled()?;
    }
    for attack in attack::all()? {
        attack.compiled()?;
    }
    Ok(())
}
