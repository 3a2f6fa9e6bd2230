//! The soak finds its way: `cargo xtask soak` in short.

use std::process::Command;

use nvdsucx_tests::environment;

#[test]
fn a_short_soak_ends_well() {
    let environment = environment::get();
    let mut soak = Command::new(environment.peer.with_file_name("nvdsucx-soak"));
    let output = soak.args(["15", "1"]).envs(environment.variables()).output().expect("Cargo has built it");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("nothing left behind"), "{out}{err}");
}

#[test]
fn a_soak_that_finds_no_elements_fails_with_its_seed() {
    let environment = environment::get();
    let mut soak = Command::new(environment.peer.with_file_name("nvdsucx-soak"));
    let output = soak
        .args(["15", "4711"])
        .env("GST_REGISTRY", environment.registry.with_file_name("no-registry.bin"))
        .env("GST_PLUGIN_SYSTEM_PATH", "/nowhere")
        .output()
        .expect("Cargo has built it");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("FAILED with seed 4711"), "{err}");
}
