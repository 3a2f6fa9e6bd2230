//! The examples: which pipelines run in which process, and what must be true afterwards.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::fetch::{self, Wheel};
use crate::setup::For;
use crate::shell::{Workspace, succeeds};

mod gpu;
mod metadata;

/// Stands for the port in a pipeline until it is known.
pub(crate) const PORT: &str = "{port}";

/// One line of `--list`.
pub(crate) struct Example {
    pub(crate) name: &'static str,
    /// Of the example in the documentation of NVIDIA's elements that it is.
    pub(crate) number: Option<u8>,
    pub(crate) about: &'static str,
    /// The input when the user names none.
    pub(crate) clip: Option<&'static Wheel>,
    pub(crate) extension: &'static str,
    /// What it needs on top of what all examples need.
    pub(crate) needs: &'static [For],
    /// Whether it has elements of the second plugin.
    pub(crate) metadata: bool,
    plan: fn(&Files) -> anyhow::Result<Plan>,
}

/// All of them; the first is the default.
pub(crate) const ALL: &[Example] = &[
    Example {
        name: "video",
        number: Some(1),
        about: "decode, send raw video, receive, encode to MP4",
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "objects",
        number: Some(2),
        about: "detect faces, send them with the video (nvdsmetainsert), draw them where it arrives",
        clip: Some(&fetch::FACE),
        needs: &[For::Detecting],
        metadata: true,
        plan: metadata::objects,
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "levels",
        number: Some(3),
        about: "sound with metadata on each buffer (nvdsmetainsert), to a WAV file",
        extension: "wav",
        metadata: true,
        plan: metadata::levels,
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "audio",
        about: "the sound of the clip as raw audio, to a WAV file",
        extension: "wav",
        plan: audio,
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "text",
        about: "subtitles (of --input, or made of the licence's lines), to an SRT file",
        clip: None,
        extension: "srt",
        plan: text,
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "two-clients",
        about: "one server, num-conns=2: both clients get every picture",
        plan: two_clients,
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "reversed",
        about: "the receiver listens (nvdsucxserversrc), the sender connects (nvdsucxclientsink)",
        plan: reversed,
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "any",
        about: "encoded H.264 as it is, neither decoded nor encoded on the way",
        plan: any,
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "cuda",
        about: "decoded by the GPU into its memory, sent from there to there; on an NVIDIA GPU",
        plan: gpu::cuda,
        ..FROM_CLIP_TO_MP4
    },
    Example {
        name: "nvmm",
        about: "the same with DeepStream's decoder, converter and memory; on an NVIDIA GPU",
        plan: gpu::nvmm,
        ..FROM_CLIP_TO_MP4
    },
];

/// What most examples have in common.
const FROM_CLIP_TO_MP4: Example = Example {
    name: "",
    number: None,
    about: "",
    clip: Some(&fetch::CLIP),
    extension: "mp4",
    needs: &[],
    metadata: false,
    plan: video,
};

/// What an example reads and writes.
pub(crate) struct Files {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// For files on the side.
    pub(crate) folder: PathBuf,
    /// The examples' own folder.
    pub(crate) sources: PathBuf,
}

/// One process.
pub(crate) struct Program {
    pub(crate) label: &'static str,
    pub(crate) sends: bool,
    /// Of `pipe-side`, for what `gst-launch-1.0` cannot do.
    pub(crate) options: Vec<String>,
    pub(crate) pipeline: String,
}

impl Program {
    fn sender(pipeline: String) -> Self {
        Self { label: "sender", sends: true, options: Vec::new(), pipeline }
    }

    fn receiver(pipeline: String) -> Self {
        Self { label: "receiver", sends: false, options: Vec::new(), pipeline }
    }

    /// Of `pipe-side`, with the port in place.
    pub(crate) fn arguments(&self, port: &str) -> Vec<String> {
        self.options.iter().cloned().chain([self.pipeline.replace(PORT, port)]).collect()
    }
}

/// What runs, and what is checked at the end on top of the comparison of what was sent with what was received.
pub(crate) struct Plan {
    pub(crate) server: Program,
    pub(crate) clients: Vec<Program>,
    pub(crate) checks: Vec<Check>,
    /// Which elements were chosen, where there is a choice.
    pub(crate) choice: Option<&'static str>,
}

/// A check of the files.
pub(crate) enum Check {
    /// Decoding the file gives as many pictures as were received.
    Decodes(PathBuf),
    /// Both files decode to the same number of pictures.
    DecodesLike(PathBuf, PathBuf),
    /// Two files are equal, byte for byte.
    Same(PathBuf, PathBuf),
    /// Each buffer crossed with a payload of nvdsmetainsert, and without regions of interest beside it.
    Payloads,
    /// Two lists of metadata are equal, and not empty; of what.
    SameMetadata(PathBuf, PathBuf, &'static str),
    /// No check: pictures of the first file, for people, go into the second.
    Sheet(PathBuf, PathBuf),
}

impl Example {
    /// By name, or by number.
    pub(crate) fn find(name: &str) -> anyhow::Result<&'static Self> {
        let number = name.parse::<u8>().ok();
        let is_it = |example: &&Self| example.name == name || (number.is_some() && example.number == number);
        let found = ALL.iter().find(is_it);
        found.with_context(|| format!("there is no example `{name}`; `cargo xtask demo --list` shows them"))
    }

    pub(crate) fn plan(&self, files: &Files) -> anyhow::Result<Plan> {
        (self.plan)(files)
    }
}

fn video(files: &Files) -> anyhow::Result<Plan> {
    Ok(Plan {
        server: video_sender(files, &format!("nvdsucxserversink name=ucx port={PORT}")),
        clients: vec![video_receiver(
            "receiver",
            &format!("nvdsucxclientsrc name=ucx port={PORT}"),
            &files.output,
        )?],
        checks: vec![Check::Decodes(files.output.clone())],
        choice: None,
    })
}

fn two_clients(files: &Files) -> anyhow::Result<Plan> {
    let second = files.output.with_extension("2.mp4");
    let source = format!("nvdsucxclientsrc name=ucx port={PORT}");
    Ok(Plan {
        server: video_sender(files, &format!("nvdsucxserversink name=ucx port={PORT} num-conns=2")),
        clients: vec![
            video_receiver("receiver 1", &source, &files.output)?,
            video_receiver("receiver 2", &source, &second)?,
        ],
        checks: vec![Check::Decodes(files.output.clone()), Check::Decodes(second)],
        choice: None,
    })
}

fn reversed(files: &Files) -> anyhow::Result<Plan> {
    Ok(Plan {
        server: video_receiver("receiver", &format!("nvdsucxserversrc name=ucx port={PORT}"), &files.output)?,
        clients: vec![video_sender(files, &format!("nvdsucxclientsink name=ucx port={PORT}"))],
        checks: vec![Check::Decodes(files.output.clone())],
        choice: None,
    })
}

fn video_sender(files: &Files, sink: &str) -> Program {
    let input = quoted(&files.input);
    Program::sender(format!(
        "filesrc location={input} ! decodebin ! videoconvert ! video/x-raw,format=NV12 ! queue ! \
             {sink} buf-type=nvdsucx-buf-video sync=false"
    ))
}

fn video_receiver(label: &'static str, source: &str, output: &Path) -> anyhow::Result<Program> {
    let output = quoted(output);
    let encoder = h264_encoder()?;
    Ok(Program {
        label,
        sends: false,
        options: Vec::new(),
        pipeline: format!(
            "{source} buf-type=nvdsucx-buf-video ! queue ! videoconvert ! {encoder} ! h264parse ! qtmux ! \
             filesink location={output}"
        ),
    })
}

fn audio(files: &Files) -> anyhow::Result<Plan> {
    let (input, output) = (quoted(&files.input), quoted(&files.output));
    let sent = files.folder.join("audio-sent.wav");
    let copy = quoted(&sent);
    Ok(Plan {
        server: Program::sender(format!(
            "filesrc location={input} ! decodebin ! audioconvert ! audioresample ! \
                 audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved ! tee name=t \
                 t. ! queue ! nvdsucxserversink name=ucx port={PORT} buf-type=nvdsucx-buf-raw-audio sync=false \
                 t. ! queue ! wavenc ! filesink location={copy}"
        )),
        clients: vec![Program::receiver(format!(
            "nvdsucxclientsrc name=ucx port={PORT} buf-type=nvdsucx-buf-raw-audio ! queue ! wavenc ! \
                 filesink location={output}"
        ))],
        checks: vec![Check::Same(sent, files.output.clone())],
        choice: None,
    })
}

fn text(files: &Files) -> anyhow::Result<Plan> {
    let (input, output) = (quoted(&files.input), quoted(&files.output));
    let sent = files.folder.join("text-sent.srt");
    let copy = quoted(&sent);
    Ok(Plan {
        server: Program::sender(format!(
            "filesrc location={input} ! subparse ! tee name=t \
                 t. ! queue ! nvdsucxserversink name=ucx port={PORT} buf-type=nvdsucx-buf-text sync=false \
                 t. ! queue ! srtenc ! filesink location={copy}"
        )),
        clients: vec![Program::receiver(format!(
            "nvdsucxclientsrc name=ucx port={PORT} buf-type=nvdsucx-buf-text ! queue ! srtenc ! \
                 filesink location={output}"
        ))],
        checks: vec![Check::Same(sent, files.output.clone())],
        choice: None,
    })
}

fn any(files: &Files) -> anyhow::Result<Plan> {
    let (input, output) = (quoted(&files.input), quoted(&files.output));
    Ok(Plan {
        server: Program::sender(format!(
            "filesrc location={input} ! parsebin ! h264parse ! \
                 video/x-h264,stream-format=byte-stream,alignment=au ! queue ! \
                 nvdsucxserversink name=ucx port={PORT} buf-type=nvdsucx-buf-any sync=false"
        )),
        clients: vec![Program::receiver(format!(
            "nvdsucxclientsrc name=ucx port={PORT} buf-type=nvdsucx-buf-any ! queue ! h264parse ! qtmux ! \
                 filesink location={output}"
        ))],
        checks: vec![Check::DecodesLike(files.input.clone(), files.output.clone())],
        choice: None,
    })
}

/// What the text example sends when the user names no file: the licence, a line every half second.
pub(crate) fn licence_as_subtitles(workspace: &Workspace, folder: &Path) -> anyhow::Result<PathBuf> {
    use std::fmt::Write as _;

    let licence = workspace.root.join("LICENSE");
    let lines =
        std::fs::read_to_string(&licence).with_context(|| format!("cannot read {}", licence.display()))?;
    let lines = lines.lines().map(str::trim).filter(|line| line.contains(char::is_alphanumeric));
    let mut subtitles = String::new();
    for (n, line) in lines.enumerate() {
        let (begin, end) = (srt_time(n * 500), srt_time(n * 500 + 450));
        write!(subtitles, "{}\n{begin} --> {end}\n{line}\n\n", n + 1)?;
    }
    let path = folder.join("licence.srt");
    std::fs::write(&path, subtitles).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn srt_time(ms: usize) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02},{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The pipeline that decodes a file's pictures, to count them.
pub(crate) fn decoder(file: &Path) -> String {
    format!("filesrc location={} ! decodebin ! videoconvert ! fakesink name=ucx sync=false", quoted(file))
}

/// The pipeline that decodes a file's pictures for a contact sheet.
pub(crate) fn small_pictures(file: &Path) -> String {
    format!(
        "filesrc location={} ! decodebin ! videoconvert ! videoscale ! \
         video/x-raw,format=RGB,width=352,pixel-aspect-ratio=1/1 ! fakesink name=ucx sync=false",
        quoted(file)
    )
}

/// Distributions differ in which they ship.
fn h264_encoder() -> anyhow::Result<&'static str> {
    for (element, pipeline) in [("x264enc", "x264enc speed-preset=veryfast"), ("openh264enc", "openh264enc")]
    {
        if succeeds(std::process::Command::new("gst-inspect-1.0").args(["--exists", element])) {
            return Ok(pipeline);
        }
    }
    bail!("GStreamer has no H.264 encoder here: neither x264enc (plugins-ugly) nor openh264enc (plugins-bad)")
}

/// As GStreamer's pipeline syntax (and a shell) take a path with blanks.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c)) {
        return path.into_owned();
    }
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::{ALL, Example, quoted, srt_time};
    use std::path::Path;

    #[test]
    fn examples_have_names_and_some_have_numbers() {
        let name = |of: &str| Example::find(of).map(|example| example.name).ok();
        assert_eq!([name("1"), name("2"), name("3")], [Some("video"), Some("objects"), Some("levels")]);
        assert_eq!((name("4"), name("")), (None, None));
        assert!(ALL.iter().all(|example| name(example.name) == Some(example.name)));
    }

    #[test]
    fn paths_with_blanks_are_quoted() {
        assert_eq!(quoted(Path::new("a/b-1.mp4")), "a/b-1.mp4");
        assert_eq!(quoted(Path::new("my \"clip\".mp4")), r#""my \"clip\".mp4""#);
    }

    #[test]
    fn subtitle_times_carry_over() {
        assert_eq!(srt_time(3_661_250), "01:01:01,250");
    }
}
