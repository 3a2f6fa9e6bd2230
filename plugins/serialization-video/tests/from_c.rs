//! The library as a program in C uses it: named to the elements by their properties, or opened and called.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What was built along with this test.
fn built(file: &str) -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join(file)
}

fn compile(name: &str, source: &Path, packages: &[&str]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let config = Command::new("pkg-config").args(["--cflags", "--libs"]).args(packages).output().unwrap();
    assert!(config.status.success(), "{}", String::from_utf8_lossy(&config.stderr));
    let flags = String::from_utf8(config.stdout).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Werror", "-o"]).arg(&program).arg(source).args(flags.split_whitespace());
    assert!(cc.status().unwrap().success());
    program
}

/// Runs `program` where GStreamer finds the elements.
fn run(program: &Path, arguments: &[&Path]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("from-c");
    std::fs::create_dir_all(&folder).unwrap();
    let plugin = folder.join("libgstnvdsmetautils.so");
    let mut copy: OsString = plugin.clone().into();
    copy.push(format!(".{}", std::process::id()));
    std::fs::copy(built("libgstnvdsmetautils.so"), &copy).unwrap();
    std::fs::rename(&copy, &plugin).unwrap();
    let output = Command::new(program)
        .args(arguments)
        .env("GST_PLUGIN_PATH", &folder)
        .env("GST_REGISTRY", folder.join(format!("registry-{}.bin", std::process::id())))
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{text}{errors}", output.status);
    text.into_owned()
}

#[test]
fn a_program_in_c_names_it_to_the_elements() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/from_c.c");
    let program = compile("from_c", &source, &["gstreamer-video-1.0"]);
    let library = built("libnvds_video_metadata_serialization.so");
    for arguments in [[library.as_path(), &library], [&library, Path::new("")], [Path::new(""), &library]] {
        assert_eq!(run(&program, &arguments), "10 regions\n");
    }
}
