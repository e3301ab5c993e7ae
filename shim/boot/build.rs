//! Compiles the built-in policies, so that a program under one of them does not have to.

use core::fmt::Write;
use ia2_policy::source::{BUILT_IN, Memory, POLICIES};
use std::path::PathBuf;

fn main() {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut list = String::from(
        "/// Name and compiled form of each.\nconst POLICIES: &[(&str, &[u8])] = &[\n",
    );
    for (name, _) in POLICIES {
        let (policy, findings, sources) =
            ia2_policy::load(&format!("{BUILT_IN}{name}"), &mut Memory::new());
        let lines: Vec<String> =
            findings.iter().map(|one| ia2_policy::render::line(one, &sources)).collect();
        let policy = policy.unwrap_or_else(|| panic!("{name}: {}", lines.join("\n")));
        let compiled = ia2_policy::compile::compile(&policy)
            .unwrap_or_else(|findings| panic!("{name}: {findings:?}"));
        std::fs::write(folder.join(format!("{name}.blob")), &compiled.blob)
            .expect("OUT_DIR can be written");
        let file = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.blob\"))");
        writeln!(list, "    (\"{name}\", {file}),").expect("a String takes anything");
    }
    list.push_str("];\n");
    std::fs::write(folder.join("policies.rs"), list).expect("OUT_DIR can be written");
}
