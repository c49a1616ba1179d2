//! Every program of `programs/` on every interpreter at hand: what leaks, who holds it, which line stores it; and silence.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use heldby_tests::program::check;
use heldby_tests::pythons;

fn check_all(name: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("programs")
        .join(format!("{name}.program"));
    for python in pythons() {
        check(&path, &python);
    }
}

macro_rules! programs {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check_all(stringify!($name));
        })*

        #[test]
        fn every_program_has_its_test() {
            let known: Vec<&str> = vec![$(stringify!($name)),*];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                assert!(known.contains(&name.as_str()), "{name} is not run");
            }
        }
    };
}

programs! {
    module_global
    imported_global
    class_attribute
    instance_attribute
    slot
    default_argument
    closure
    function_cache
    frame_local
    nested_containers
    signal_of_a_library
    silent
}
