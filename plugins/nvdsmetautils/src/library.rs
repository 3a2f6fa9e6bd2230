//! Serialisation libraries that the user names.
//!
//! The interface is one C function that gets the buffer and returns nothing. It is found by its name when the element
//! starts, and the library stays loaded: it may have registered types, whose code must not go away.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// What a serialisation library exports.
type Function = unsafe extern "C" fn(*mut gst::ffi::GstBuffer);

/// A function of a library that was loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foreign {
    function: Function,
}

/// Why a library cannot be used.
#[derive(Debug)]
pub(crate) enum LibraryError {
    /// The file is something else.
    NotElf(PathBuf),
    /// It was built for machines of another kind: its own, ours.
    Machine(PathBuf, Machine, Machine),
    /// In the words of the dynamic linker.
    Load(PathBuf, String),
    /// There is no function of this name. The linker's words.
    Symbol(PathBuf, &'static str, String),
}

impl std::error::Error for LibraryError {}

impl std::fmt::Display for LibraryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotElf(path) => {
                write!(f, "{} is no shared library: it does not begin as an ELF file does", path.display())
            }
            Self::Machine(path, theirs, ours) => write!(
                f,
                "{} is for {theirs}, this is {ours}: name a library that was built for {ours}",
                path.display()
            ),
            Self::Load(path, words) => write!(
                f,
                "cannot load {}: {words}. Give the full path; `ldd` shows which library it misses. With no library \
                 named, the element's own serialiser does the work",
                path.display()
            ),
            Self::Symbol(path, symbol, words) => write!(
                f,
                "{} is no serialisation library: {words}. One exports `void {symbol}(GstBuffer *)` with C linkage",
                path.display()
            ),
        }
    }
}

impl Foreign {
    /// The function `symbol` of the library at `path`, which is searched for as every library is if it is a bare name.
    pub(crate) fn load(path: &str, symbol: &'static str) -> Result<Self, LibraryError> {
        let path = Path::new(path);
        examine(path)?;
        // SAFETY: the user names the library so that its code is run, its constructors included.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|err| LibraryError::Load(path.to_owned(), err.to_string()))?;
        // SAFETY: by the convention of serialisation libraries functions of these names have this type.
        let function = unsafe { library.get::<Function>(symbol.as_bytes()) }
            .map(|found| *found)
            .map_err(|err| LibraryError::Symbol(path.to_owned(), symbol, err.to_string()))?;
        std::mem::forget(library);
        Ok(Self { function })
    }

    /// Lets the library work on `buffer`.
    pub(crate) fn call(self, buffer: &mut gst::BufferRef) {
        // SAFETY: the library is never unloaded; the buffer is writable, and lives during the call.
        unsafe { (self.function)(buffer.as_mut_ptr()) }
    }
}

/// Finds out what the linker explains badly. A bare name is left to the linker, which knows where to search.
fn examine(path: &Path) -> Result<(), LibraryError> {
    // Only of a regular file: others may block who opens them.
    if path.components().count() < 2 || !path.is_file() {
        return Ok(());
    }
    // What cannot be read here, the linker cannot read, and says why.
    let Ok(start) = start_of(path) else { return Ok(()) };
    let theirs = Machine::of(&start).ok_or_else(|| LibraryError::NotElf(path.to_owned()))?;
    match start_of(Path::new("/proc/self/exe")).ok().and_then(|start| Machine::of(&start)) {
        Some(ours) if ours != theirs => Err(LibraryError::Machine(path.to_owned(), theirs, ours)),
        _ => Ok(()),
    }
}

fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(20).read_to_end(&mut start)?;
    Ok(start)
}

/// The kind of machine that a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    bits: u8,
    number: u16,
}

impl Machine {
    /// As the first bytes of an ELF file have it.
    fn of(start: &[u8]) -> Option<Self> {
        let start = start.first_chunk::<20>().filter(|start| start.starts_with(b"\x7fELF"))?;
        let number = [start[18], start[19]];
        let number = if start[5] == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
        Some(Self { bits: if start[4] == 1 { 32 } else { 64 }, number })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.number, self.bits) {
            (3, _) => f.write_str("32-bit x86"),
            (40, _) => f.write_str("32-bit ARM"),
            (62, 64) => f.write_str("x86-64"),
            (183, 64) => f.write_str("aarch64"),
            (243, bits) => write!(f, "{bits}-bit RISC-V"),
            (number, bits) => write!(f, "a {bits}-bit machine with the ELF number {number}"),
        }
    }
}
