//! The metas of buffers: made after a list of their kinds, and printed field by field.

mod attach;
mod batch;
mod foreign;
mod text;
mod value;

use nvdsucx_tests::payload::Random;

pub(crate) use text::lines;

/// A custom meta that both ends register when they start.
const KNOWN: &str = "NvdsucxTestKnown";
/// A custom meta that only the sender registers, and only when it attaches one.
const STRANGE: &str = "NvdsucxTestStrange";
/// What an application registers `STRANGE` with.
const STRANGE_TAGS: [&str; 2] = ["orientation", "size"];
/// What the elements of nvdsmetautils put on buffers.
const PAYLOAD: &str = "NvdsCustomPayload";

/// Does what an application does with its metas when it starts.
pub(crate) fn register() {
    gst::meta::CustomMeta::register(KNOWN, &["video"]);
    foreign::SPOKEN.register();
}

/// The metas that a buffer is to have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted(Vec<(attach::Kind, usize)>);

impl Wanted {
    /// Reads `KIND[*COUNT],…`; `all` stands for one of each that the running GStreamer has, but `foreign`.
    pub(crate) fn parse(list: &str) -> Result<Self, String> {
        if list == "all" {
            return Ok(Self(attach::all().map(|kind| (kind, 1)).collect()));
        }
        let one = |item: &str| {
            let (name, count) = item.split_once('*').unwrap_or((item, "1"));
            let kind = attach::find(name).ok_or_else(|| format!("no kind of meta is called {name}"))?;
            Ok((kind, count.parse().map_err(|_| format!("not a count: {count}"))?))
        };
        list.split(',').map(one).collect::<Result<_, String>>().map(Self)
    }

    /// Attaches them to buffer number `n`. Each next buffer, and each next meta of a kind, gets another variant of the kind,
    /// in turn; the rest of what is in a meta is random, but the same for the same `seed`.
    pub(crate) fn attach(&self, buffer: &mut gst::BufferRef, n: u64, seed: u64) {
        let mut random = Random::new(Random::new(seed << 32 | n).word());
        for &(kind, count) in &self.0 {
            for m in 0..count {
                (kind.attach)(buffer, n as usize + m, &mut random);
            }
        }
    }
}
