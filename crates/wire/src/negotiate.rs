//! Whether two ends can work together.

use crate::refusal::Reason;
use crate::{BufferType, Hello, Refusal, Role};

impl BufferType {
    /// The word users know: the nick of the elements' `buf-type` property.
    pub fn nick(self) -> &'static str {
        match self {
            Self::Video => "nvdsucx-buf-video",
            Self::NvAudio => "nvdsucx-buf-nv-audio",
            Self::RawAudio => "nvdsucx-buf-raw-audio",
            Self::Text => "nvdsucx-buf-text",
            Self::Any => "nvdsucx-buf-any",
        }
    }
}

/// The protocol version to speak with a peer that introduced itself with `theirs` (a hello or a welcome), or the refusal
/// to answer it with. The refusal's text reads the same on both sides.
///
/// After `Ok`, the role and the buffer type in `theirs` are known ones.
pub fn accept(ours: &Hello, theirs: &Hello) -> Result<u32, Refusal> {
    let version = common_version(ours, theirs)?;
    let sender_is_ours = match (Role::try_from(ours.role), Role::try_from(theirs.role)) {
        (Ok(Role::Sender), Ok(Role::Receiver)) => true,
        (Ok(Role::Receiver), Ok(Role::Sender)) => false,
        _ => return Err(wrong_roles(ours.role, theirs.role)),
    };
    // Two ends that share a number nobody has named yet cannot be taken to mean the same by it.
    if ours.buffer_type != theirs.buffer_type || BufferType::try_from(theirs.buffer_type).is_err() {
        let (sender, receiver) = if sender_is_ours { (ours, theirs) } else { (theirs, ours) };
        let text = format!(
            "the sending element has buf-type={}, the receiving element buf-type={}: set the same on both",
            buffer_type_name(sender.buffer_type),
            buffer_type_name(receiver.buffer_type)
        );
        return Err(refuse(Reason::BufferType, text));
    }
    Ok(version)
}

/// Whether both ends have a key, or neither; otherwise the refusal, whose text reads the same on both sides.
pub fn keys_agree(listening: bool, connecting: bool) -> Result<(), Refusal> {
    let (with, without) = match (listening, connecting) {
        (true, false) => ("listening", "connecting"),
        (false, true) => ("connecting", "listening"),
        _ => return Ok(()),
    };
    let text = format!(
        "the {with} element has a key and the {without} one has none: set `key-file` to the same key on both"
    );
    Err(refuse(Reason::Key, text))
}

/// The refusal where the proof of a key is wrong.
pub fn keys_differ() -> Refusal {
    let text = "the keys of the two elements differ: set `key-file` to the same key on both";
    refuse(Reason::Key, text.to_owned())
}

/// Whether two releases of UCX ("1.13.1") can use all of each other: the same major and minor number.
///
/// Other pairs connect and pass eager messages, but may fail to read each other's remote keys, and then rendezvous
/// fails.
pub fn ucx_compatible(ours: &str, theirs: &str) -> bool {
    match (major_minor(ours), major_minor(theirs)) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => false,
    }
}

/// What names the devices that UCX may use between two ends, all of them; empty if it may not.
pub fn devices_in_common<'a>(ours: &'a Hello, theirs: &Hello) -> &'a str {
    // Other releases, even other patch levels, choose other ones.
    if ours.devices == theirs.devices && ours.ucx_version == theirs.ucx_version { &ours.devices } else { "" }
}

fn major_minor(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn common_version(ours: &Hello, theirs: &Hello) -> Result<u32, Refusal> {
    let newest = ours.version.min(theirs.version);
    let oldest = ours.oldest_version.max(theirs.oldest_version);
    // Checked one by one too: a range that is upside down overlaps with nothing, whatever the other one is.
    let ranges_hold = [ours, theirs].iter().all(|hello| (1..=hello.version).contains(&hello.oldest_version));
    if ranges_hold && oldest <= newest {
        return Ok(newest);
    }
    let text = format!(
        "no protocol version in common: the refusing element speaks {}, the refused one {}: update the older one",
        versions(ours),
        versions(theirs)
    );
    Err(refuse(Reason::Version, text))
}

fn versions(hello: &Hello) -> String {
    let Hello { oldest_version, version, software, .. } = hello;
    let software = if software.is_empty() { "unnamed software" } else { software };
    format!("{oldest_version} to {version} ({software})")
}

fn wrong_roles(ours: i32, theirs: i32) -> Refusal {
    let text = format!(
        "the refusing element is {}, the refused one {}: connect nvdsucxserversink with nvdsucxclientsrc, or \
         nvdsucxclientsink with nvdsucxserversrc",
        role_name(ours),
        role_name(theirs)
    );
    refuse(Reason::Role, text)
}

fn role_name(number: i32) -> String {
    match Role::try_from(number) {
        Ok(Role::Sender) => "a sender".into(),
        Ok(Role::Receiver) => "a receiver".into(),
        Ok(Role::Unspecified) => "neither sender nor receiver".into(),
        Err(_) => format!("of unknown role {number}"),
    }
}

fn buffer_type_name(number: i32) -> String {
    match BufferType::try_from(number) {
        Ok(buffer_type) => buffer_type.nick().into(),
        Err(_) => format!("{number} (unknown)"),
    }
}

fn refuse(reason: Reason, text: String) -> Refusal {
    Refusal { reason: reason.into(), text }
}
