//! Build information for the plugin.

fn main() {
    gst_plugin_version_helper::info();
    // Every commit makes an entry here; the version names the last one.
    let log = std::path::Path::new("../../.git/logs/HEAD");
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
}
