//! Where the key is that both ends share.

use std::env;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use nvdsucx_session::{Error, Key};

/// Names a file with the key.
const FILE_VARIABLE: &str = "NVDSUCX_KEY_FILE";
/// Is the key.
const KEY_VARIABLE: &str = "NVDSUCX_KEY";

/// The key in `file`, else the one that the environment names. One that is asked for and not there is an error: nobody
/// is to go without by mistake.
pub(crate) fn find(file: Option<&str>) -> Result<Option<Key>, Error> {
    if let Some(file) = file {
        return Key::from_file(Path::new(file)).map(Some);
    }
    if let Some(file) = env::var_os(FILE_VARIABLE) {
        return Key::from_file(Path::new(&file)).map(Some);
    }
    env::var_os(KEY_VARIABLE).map(|key| Key::new(key.into_vec(), KEY_VARIABLE)).transpose()
}
