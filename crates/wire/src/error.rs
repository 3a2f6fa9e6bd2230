//! What can be wrong with received bytes.

/// Why received bytes were refused: which value was wrong, and which limit it broke.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are fewer bytes than the fixed part takes.
    #[error("{what} is cut short: {len} bytes, at least {needed} needed")]
    Short {
        /// What was read.
        what: &'static str,
        /// Bytes there are.
        len: usize,
        /// Bytes there must be.
        needed: usize,
    },
    /// Something else was said at the front door.
    #[error("it does not speak this protocol")]
    NotAGreeting,
    /// Longer than allowed.
    #[error("{what} has {len} bytes, at most {limit} are allowed")]
    TooLong {
        /// What was read.
        what: &'static str,
        /// Its length in bytes.
        len: u64,
        /// The largest length allowed, in bytes.
        limit: u64,
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
    /// Not what the schema says.
    #[error("{what} cannot be parsed: {cause}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// The parser's words.
        cause: prost::DecodeError,
    },
    /// A text has a NUL byte in it, which GStreamer's strings cannot hold.
    #[error("{what} has a NUL character in it")]
    Nul {
        /// Which text.
        what: &'static str,
    },
    /// A number outside its range.
    #[error("{what} is {value}, allowed is {min} to {max}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: u64,
        /// Smallest value allowed.
        min: u64,
        /// Largest value allowed.
        max: u64,
    },
    /// A rate that no stream can have.
    #[error("{what} is {value}, it must be finite and not zero")]
    Rate {
        /// Which rate.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// The trailer is longer than the data it is said to end.
    #[error("a trailer of {trailer} bytes cannot be at the end of {data} bytes of data")]
    TrailerPastData {
        /// Length of the trailer, in bytes.
        trailer: u32,
        /// Length of the data, in bytes.
        data: u64,
    },
    /// A frame header both in the active message header and behind the data.
    #[error(
        "two frame headers: {inline} bytes in the active message header and a trailer of {trailer} bytes"
    )]
    TwoHeaders {
        /// Bytes behind the prefix.
        inline: usize,
        /// Length of the trailer, in bytes.
        trailer: u32,
    },
    /// The lengths of the memories cannot be added up.
    #[error("the lengths of the memories add up to more than 64 bits hold")]
    MemoriesOverflow,
    /// The lengths of the memories do not add up to the payload's.
    #[error("the memories are {memories} bytes together, the payload has {payload}")]
    MemoriesMismatch {
        /// Sum of the lengths announced.
        memories: u64,
        /// Length of the payload.
        payload: u64,
    },
    /// The planes of a video frame are described differently in two places.
    #[error("video metadata has {offsets} offsets and {strides} strides, one of each is needed for a plane")]
    PlanesMismatch {
        /// Number of offsets.
        offsets: usize,
        /// Number of strides.
        strides: usize,
    },
    /// Another number of items than there must be.
    #[error("{count} {what}, where there must be {needed}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there must be.
        needed: usize,
    },
    /// A name that is none.
    #[error("{what} is empty, or has characters that are not allowed")]
    Name {
        /// Which name.
        what: &'static str,
    },
    /// A plane of a frame begins outside of it.
    #[error("{what} begins at byte {offset} of a payload of {payload} bytes")]
    PlanePastPayload {
        /// What was read.
        what: &'static str,
        /// The plane's offset, in bytes.
        offset: u64,
        /// Length of the payload, in bytes.
        payload: u64,
    },
}
