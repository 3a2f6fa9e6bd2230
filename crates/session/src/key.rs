//! The key that both ends share.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::{Mode, OFlags, open};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Error;

/// Shortest key, in bytes.
const MIN_LEN: usize = 16;
/// Longest key, in bytes.
const MAX_LEN: usize = 4096;
/// Longest file, in bytes: a key, and white space around it.
const MAX_FILE: usize = 2 * MAX_LEN;
/// The bit of a file's mode that lets everybody read it.
const READABLE_BY_ALL: u32 = 0o004;

/// A secret that both ends have, and prove to each other before anything else is said. It is not shown by `Debug`, and its
/// memory is overwritten when the last copy is dropped.
#[derive(Clone)]
pub struct Key {
    secret: Arc<Zeroizing<Vec<u8>>>,
    warning: Option<String>,
}

impl Key {
    /// A key of 16 to 4096 bytes, without the white space around it. `origin` says where it comes from, for the error.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn new(secret: Vec<u8>, origin: &str) -> Result<Self, Error> {
        let secret = Zeroizing::new(secret);
        let trimmed = Zeroizing::new(secret.trim_ascii().to_vec());
        let cause = match trimmed.len() {
            MIN_LEN..=MAX_LEN => return Ok(Self { secret: Arc::new(trimmed), warning: None }),
            0 => "it is empty".to_owned(),
            len @ ..MIN_LEN => format!("it has {len} bytes, at least {MIN_LEN} are needed"),
            _ => format!("it has more than {MAX_LEN} bytes"),
        };
        Err(error(origin, format!("{cause}. `openssl rand -hex 32` makes a good one")))
    }

    /// The key in a file.
    ///
    /// # Errors
    /// When the file cannot be read, or what is in it is too short or too long.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let origin = format!("file `{}`", path.display());
        // A pipe nobody writes to must not keep us here.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = open(path, flags, Mode::empty()).map_err(|cause| error(&origin, cause.to_string()))?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(|cause| error(&origin, cause.to_string()))?;
        if !metadata.is_file() {
            return Err(error(&origin, "it is not a regular file".to_owned()));
        }
        // Room for all that is read: growing would leave copies behind.
        let mut secret = Zeroizing::new(Vec::with_capacity(MAX_FILE + 1));
        file.take(MAX_FILE as u64 + 1)
            .read_to_end(&mut secret)
            .map_err(|cause| error(&origin, cause.to_string()))?;
        if secret.len() > MAX_FILE {
            return Err(error(&origin, format!("the file has more than {MAX_FILE} bytes")));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        let warning = (mode & READABLE_BY_ALL != 0).then(|| {
            format!(
                "the key in {origin} can be read by every user of this host (mode {mode:04o}): `chmod 600` it"
            )
        });
        Ok(Self { warning, ..Self::new(std::mem::take(&mut *secret), &origin)? })
    }

    /// What the user should know of where the key is.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// HMAC-SHA256 over a label and `parts`, each behind its length.
    pub(crate) fn mac(&self, label: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.secret).expect("a key may have any length");
        for part in [label.as_bytes()].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

fn error(origin: &str, cause: String) -> Error {
    Error::Key { origin: origin.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"correct horse battery staple";

    fn file(name: &str, content: &[u8], mode: u32) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("nvdsucx-key-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn the_white_space_around_a_key_does_not_count() {
        for padded in [SECRET.to_vec(), [b" \t", SECRET, b"\r\n\n"].concat()] {
            assert_eq!(**Key::new(padded, "test").unwrap().secret, SECRET);
        }
    }

    #[test]
    fn a_key_has_16_to_4096_bytes() {
        for (len, good) in [(0, false), (15, false), (16, true), (4096, true), (4097, false)] {
            let key = Key::new(vec![b'x'; len], "test");
            assert_eq!(key.is_ok(), good, "{len} bytes");
        }
        let error = Key::new(b"0123456789abcde \n".to_vec(), "NAME").unwrap_err().to_string();
        assert!(error.contains("NAME") && error.contains("15 bytes"), "{error}");
        assert!(!error.contains("012345"), "the key is in the error: {error}");
    }

    #[test]
    fn a_file_is_read_and_one_that_all_may_read_is_warned_of() {
        for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
            let path = file(&format!("mode-{mode:o}"), &[SECRET, b"\n"].concat(), mode);
            let key = Key::from_file(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert_eq!(**key.secret, SECRET);
            assert_eq!(key.warning().is_some(), warned, "{mode:o}");
            assert!(!key.warning().unwrap_or_default().contains("horse"));
        }
    }

    #[test]
    fn errors_name_the_file_and_the_cause() {
        let missing = Path::new("/nonexistent/key");
        let error = Key::from_file(missing).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/key") && error.contains("No such file"), "{error}");
        let error = Key::from_file(Path::new("/dev")).unwrap_err().to_string();
        assert!(error.contains("/dev") && error.contains("not a regular file"), "{error}");
        for (name, content, cause) in [
            ("short", b"short".to_vec(), "5 bytes"),
            ("blank", b" \n".to_vec(), "empty"),
            ("long", vec![b'x'; 4097], "4096"),
            ("huge", vec![b' '; 100_000], "8192"),
        ] {
            let path = file(name, &content, 0o600);
            let error = Key::from_file(&path).unwrap_err().to_string();
            std::fs::remove_file(&path).unwrap();
            assert!(error.contains(path.to_str().unwrap()) && error.contains(cause), "{error}");
        }
    }

    #[test]
    fn a_pipe_is_refused_at_once() {
        let path = std::env::temp_dir().join(format!("nvdsucx-key-{}-pipe", std::process::id()));
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR).unwrap();
        let error = Key::from_file(&path).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains("not a regular file"), "{error}");
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = Key::new(SECRET.to_vec(), "test").unwrap();
        assert_eq!(format!("{key:?}"), "Key");
    }
}
