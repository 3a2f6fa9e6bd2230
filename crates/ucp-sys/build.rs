//! Finds the system's UCX with pkg-config.

fn main() {
    if let Err(error) = system_deps::Config::new().probe() {
        eprintln!("UCX >= 1.13 not found ({error}). On Debian and Ubuntu: apt-get install libucx-dev");
        std::process::exit(1);
    }
}
