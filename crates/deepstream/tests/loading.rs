//! Where the libraries are looked for. Each case is a process of its own: this program, told by a variable what to do.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use deepstream::{DeepStream, Error, FOLDER, carries_batch};

const CASE: &str = "NVDSUCX_DEEPSTREAM_TEST_CASE";
/// The folder of the libraries, where `FOLDER` has to say something else.
const REAL: &str = "NVDSUCX_DEEPSTREAM_TEST_REAL";

/// Runs `case` in a process of its own; `variables` are set, others of ours are not.
fn run(case: &str, variables: &[(&str, OsString)]) {
    let output = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "case", "--nocapture"])
        .env_remove(FOLDER)
        .env(CASE, case)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said[0].contains("1 passed"), "{case}: {}{}", said[0], said[1]);
}

/// The folder of the libraries, if there is one.
fn folder(test: &str) -> Option<OsString> {
    let folder = env::var_os(FOLDER);
    if folder.is_none() {
        eprintln!("{test}: skipped, set {FOLDER} to the folder of DeepStream's libraries");
    }
    folder
}

fn is_mapped() -> bool {
    fs::read_to_string("/proc/self/maps").expect("maps").contains("libnvdsgst_meta.so")
}

#[test]
fn a_folder_without_them_is_named() {
    run("nowhere", &[(FOLDER, "/nowhere".into())]);
}

#[test]
fn a_name_that_is_taken_is_refused() {
    run("taken", &[(FOLDER, "/nowhere".into())]);
}

#[test]
fn deepstream_is_found_in_the_folder_of_the_variable_but_not_before_it_is_needed() {
    let Some(folder) = folder("deepstream_is_found_in_the_folder_of_the_variable") else { return };
    run("found", &[(FOLDER, folder)]);
}

#[test]
fn deepstream_is_found_where_the_loader_looks() {
    let Some(folder) = folder("deepstream_is_found_where_the_loader_looks") else { return };
    run("found", &[("LD_LIBRARY_PATH", folder)]);
}

#[test]
fn deepstream_is_taken_from_where_the_process_has_it() {
    let Some(folder) = folder("deepstream_is_taken_from_where_the_process_has_it") else { return };
    run("loaded", &[(FOLDER, "/nowhere".into()), (REAL, folder)]);
}

/// What [`run`] runs.
#[test]
fn case() {
    let Ok(case) = env::var(CASE) else { return };
    gst::init().expect("GStreamer");
    match &*case {
        "nowhere" => {
            let error = DeepStream::load().map(DeepStream::release).expect_err("a folder that is not there");
            assert!(error.to_string().contains("/nowhere/libnvdsgst_meta.so"), "{error}");
            let error = deepstream::nvmm::available().expect_err("nor is this").to_string();
            assert!(error.contains("/nowhere/libnvdsbufferpool.so") && error.contains("install"), "{error}");
        }
        "taken" => {
            let mut tags = [std::ptr::null()];
            // SAFETY: the name ends with a NUL, the tags with NULL.
            unsafe { gst::ffi::gst_meta_api_type_register(c"NvDsMetaAPI".as_ptr(), tags.as_mut_ptr()) };
            assert!(matches!(DeepStream::load(), Err(Error::Taken)));
        }
        "found" => {
            assert!(!carries_batch(&gst::Buffer::new()) && DeepStream::of(&gst::Buffer::new()).is_none());
            assert!(!is_mapped());
            assert!(DeepStream::load().is_ok() && is_mapped());
        }
        "loaded" => {
            let folder = PathBuf::from(env::var_os(REAL).expect("the folder"));
            // SAFETY: DeepStream's libraries do nothing when they are loaded.
            let library = unsafe { libloading::Library::new(folder.join("libnvdsgst_meta.so")) };
            let _kept = library.expect("it is there");
            assert!(DeepStream::load().is_ok());
        }
        other => panic!("{other}"),
    }
}
