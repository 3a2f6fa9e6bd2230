//! Metadata that travels with the buffers: examples 2 and 3 of the documentation of NVIDIA's elements.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::{Check, Files, PORT, Plan, Program, h264_encoder, quoted};
use crate::fetch::python_with;
use crate::shell::succeeds;

/// What these examples take where it is there.
const DEEPSTREAM: &[&str] = &["nvstreammux", "nvinfer", "nvdsosd", "nvvideoconvert"];
/// The detector that comes with it.
const DEEPSTREAM_DETECTOR: &str =
    "/opt/nvidia/deepstream/deepstream/samples/configs/deepstream-app/config_infer_primary.txt";

/// Example 2: the receiver draws the objects that a detector found at the sender.
pub(super) fn objects(files: &Files) -> anyhow::Result<Plan> {
    if has_elements(DEEPSTREAM) && Path::new(DEEPSTREAM_DETECTOR).exists() {
        return deepstream_objects(files);
    }
    let detector = files.sources.join("detect.py");
    let python = python_with(&["-c", "import cv2"]).context("no Python here has OpenCV (cv2)")?;
    let (sent, received) = (files.folder.join("objects-sent.txt"), files.folder.join("objects.txt"));
    let (input, output, encoder) = (quoted(&files.input), quoted(&files.output), h264_encoder()?);

    let mut receiver = Program::receiver(format!(
        "nvdsucxserversrc name=ucx port={PORT} buf-type=nvdsucx-buf-video ! queue ! nvdsmetaextract ! \
         identity name=list ! identity name=draw ! {encoder} ! h264parse ! qtmux ! filesink location={output}"
    ));
    receiver.options = vec!["--list".to_owned(), text(&received), "--draw".to_owned()];
    let mut sender = Program::sender(format!(
        "filesrc location={input} ! decodebin ! videoconvert ! video/x-raw,format=NV12 ! queue ! \
         identity name=detect ! identity name=list ! nvdsmetainsert ! \
         nvdsucxclientsink name=ucx port={PORT} buf-type=nvdsucx-buf-video sync=false"
    ));
    let command = format!("{python} {}", quoted(&detector));
    // nvdsucx would carry the regions themselves, too; with NVIDIA's elements there is the payload alone.
    let options = ["--detector", &command, "--list", &text(&sent), "--regions-off"];
    sender.options = options.map(str::to_owned).to_vec();

    Ok(Plan {
        server: receiver,
        clients: vec![sender],
        checks: vec![
            Check::Payloads,
            Check::SameMetadata(sent, received, "objects"),
            Check::Decodes(files.output.clone()),
            Check::Sheet(files.output.clone(), files.output.with_extension("png")),
        ],
        choice: Some(
            "the plain ones, with OpenCV's detector: DeepStream (nvinfer, nvdsosd) is not installed",
        ),
    })
}

/// The same with DeepStream's elements, which keep objects in metadata of their own.
fn deepstream_objects(files: &Files) -> anyhow::Result<Plan> {
    let (input, output, encoder) = (quoted(&files.input), quoted(&files.output), h264_encoder()?);
    let gpu = "nvvideoconvert ! video/x-raw(memory:NVMM),format=NV12";
    let cpu = "nvvideoconvert ! video/x-raw,format=NV12";
    Ok(Plan {
        server: Program::receiver(format!(
            "nvdsucxserversrc name=ucx port={PORT} buf-type=nvdsucx-buf-video ! queue ! nvdsmetaextract ! {gpu} ! \
             nvdsosd ! {cpu} ! {encoder} ! h264parse ! qtmux ! filesink location={output}"
        )),
        clients: vec![Program::sender(format!(
            "filesrc location={input} ! decodebin ! {gpu} ! mux.sink_0 \
             nvstreammux name=mux batch-size=1 width=1280 height=720 ! \
             nvinfer config-file-path={DEEPSTREAM_DETECTOR} ! {cpu} ! nvdsmetainsert ! \
             nvdsucxclientsink name=ucx port={PORT} buf-type=nvdsucx-buf-video sync=false"
        ))],
        checks: vec![
            Check::Payloads,
            Check::Decodes(files.output.clone()),
            Check::Sheet(files.output.clone(), files.output.with_extension("png")),
        ],
        choice: Some("DeepStream: nvstreammux, nvinfer, nvdsosd"),
    })
}

/// Example 3: each buffer of sound crosses with what was measured of it.
pub(super) fn levels(files: &Files) -> anyhow::Result<Plan> {
    let (sent, received) = (files.folder.join("levels-sent.txt"), files.folder.join("levels.txt"));
    let sent_sound = files.folder.join("levels-sent.wav");
    let (input, output, copy) = (quoted(&files.input), quoted(&files.output), quoted(&sent_sound));

    let mut sender = Program::sender(format!(
        "filesrc location={input} ! decodebin ! audioconvert ! audioresample ! \
         audio/x-raw,format=F32LE,rate=48000,channels=1,layout=interleaved ! audiobuffersplit ! \
         level audio-level-meta=true post-messages=false ! identity name=list ! tee name=t \
         t. ! queue ! nvdsmetainsert ! \
         nvdsucxserversink name=ucx port={PORT} buf-type=nvdsucx-buf-nv-audio sync=false async=false \
         t. ! queue ! wavenc ! filesink location={copy}"
    ));
    sender.options = vec!["--list".to_owned(), text(&sent)];
    let mut receiver = Program::receiver(format!(
        "nvdsucxclientsrc name=ucx port={PORT} buf-type=nvdsucx-buf-nv-audio ! queue ! nvdsmetaextract ! \
         identity name=list ! wavenc ! filesink location={output}"
    ));
    receiver.options = vec!["--list".to_owned(), text(&received)];
    Ok(Plan {
        server: sender,
        clients: vec![receiver],
        checks: vec![
            Check::Payloads,
            Check::SameMetadata(sent, received, "levels"),
            Check::Same(sent_sound, files.output.clone()),
        ],
        // nvstreammux would make batches in the GPU's memory, which nvdsucx does not carry yet.
        choice: Some("the plain ones, without nvstreammux and nvstreamdemux"),
    })
}

fn has_elements(names: &[&str]) -> bool {
    names.iter().all(|name| succeeds(Command::new("gst-inspect-1.0").args(["--exists", name])))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
