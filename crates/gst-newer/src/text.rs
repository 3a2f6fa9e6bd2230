//! Structures and caps in text form.

use crate::Error;

/// Most opening brackets (`{`, `<`, `[`) of a text. GStreamer's parser calls itself for each one that is within
/// another, with some 400 bytes of stack each; threads have 2 MiB and more.
pub const MAX_BRACKETS: usize = 1024;

/// Whether GStreamer's parser can be given this text of a structure or of caps without running out of stack. What
/// else is wrong with it, the parser says.
///
/// Brackets within strings count, too: a string may be the text of a structure, which is parsed in its turn.
pub fn check(what: &'static str, text: &str) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(Error::Nul { what });
    }
    let count = text.bytes().filter(|byte| matches!(byte, b'{' | b'<' | b'[')).count();
    if count > MAX_BRACKETS {
        return Err(Error::TooMany { what: "brackets in a text", count, limit: MAX_BRACKETS });
    }
    Ok(())
}
