//! What can be wrong with values that come from elsewhere.

/// Why something was not done: which value was wrong, and which limit it broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The installed GStreamer is too old.
    #[error("{what} needs {needed}: install it to have them carried")]
    NotThere {
        /// What was wanted.
        what: &'static str,
        /// What must be installed.
        needed: &'static str,
    },
    /// More items than allowed.
    #[error("{count} {what}, at most {limit} are allowed")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Longer than allowed.
    #[error("{what} has {len} bytes, at most {limit} are allowed")]
    TooLong {
        /// What was looked at.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The largest length allowed, in bytes.
        limit: usize,
    },
    /// Not as long as it must be.
    #[error("{what} has {len} bytes, {needed} are needed")]
    Length {
        /// What was looked at.
        what: &'static str,
        /// Its length in bytes.
        len: u64,
        /// The length it must have, in bytes.
        needed: u64,
    },
    /// A text has a NUL byte in it, which GStreamer's strings cannot hold.
    #[error("{what} has a NUL character in it")]
    Nul {
        /// Which text.
        what: &'static str,
    },
    /// Bytes that are no text.
    #[error("{what} is not UTF-8")]
    NotText {
        /// Which text.
        what: &'static str,
    },
    /// A number that is none, or infinite.
    #[error("{what} is not a finite number")]
    NotFinite {
        /// Which number.
        what: &'static str,
    },
    /// A number outside its range.
    #[error("{what} is {value}, allowed is {min} to {max}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: i64,
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
    },
    /// A link from or to a thing that there is not.
    #[error("a link names thing {index}, there are {things}")]
    NoSuchThing {
        /// What the link names.
        index: usize,
        /// How many things there are.
        things: usize,
    },
    /// A relation that GStreamer does not define.
    #[error("{relation:#x} is no relation between things")]
    Relation {
        /// Its bits.
        relation: u32,
    },
    /// More distinct labels came from elsewhere than a process can keep: GLib never frees one.
    #[error("{limit} different labels were received already, no new ones are taken in by this process")]
    Labels {
        /// How many there may be.
        limit: usize,
    },
    /// A name that GStreamer's type system does not take.
    #[error(
        "`{name}` cannot name a meta: 3 to {limit} characters are needed, a letter first, then letters, digits, - and _"
    )]
    Name {
        /// The name, shortened.
        name: String,
        /// Largest length allowed.
        limit: usize,
    },
    /// The name is that of something else.
    #[error("`{name}` cannot name a custom meta: there is a type of this name that is something else")]
    Taken {
        /// The name.
        name: String,
    },
    /// A tag that GStreamer does not define.
    #[error("`{tag}` is not one of GStreamer's meta tags")]
    Tag {
        /// The tag, shortened.
        tag: String,
    },
    /// Bytes of a meta whose own reader is not known to withstand any bytes.
    #[error("`{name}` is not a meta that is taken from its serialised form")]
    Kind {
        /// The meta's name, shortened.
        name: String,
    },
    /// Text that GStreamer cannot parse.
    #[error("{what} cannot be parsed")]
    Malformed {
        /// Which text.
        what: &'static str,
    },
    /// GStreamer did not do it.
    #[error("GStreamer refused {what}")]
    Refused {
        /// What was asked of it.
        what: &'static str,
    },
}

/// The beginning of a text that is quoted in an error.
pub(crate) fn quoted(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
