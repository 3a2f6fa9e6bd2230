//! The first example on a GPU: frames are decoded into its memory, and come out of it only to be compared.

use std::process::Command;

use anyhow::ensure;

use super::{Check, Files, PORT, Plan, Program, h264_encoder, quoted};
use crate::shell::succeeds;

/// Where each side looks at the frames, in the CPU's memory.
const SEEN: &str = "identity name=seen";
const OBSERVED: [&str; 2] = ["--observe", "seen"];

/// One kind of a GPU's memory.
struct Way {
    caps: &'static str,
    /// From H.264 to that memory.
    decoder: &'static str,
    /// From that memory to the CPU's.
    download: &'static str,
    needs: &'static [&'static str],
    from: &'static str,
}

const CUDA: Way = Way {
    caps: "video/x-raw(memory:CUDAMemory)",
    decoder: "nvh264dec",
    download: "cudadownload",
    needs: &["nvh264dec", "cudadownload"],
    from: "GStreamer's plugin nvcodec, where there are an NVIDIA GPU and its driver",
};
const NVMM: Way = Way {
    caps: "video/x-raw(memory:NVMM),format=NV12",
    decoder: "nvv4l2decoder ! nvvideoconvert",
    download: "nvvideoconvert",
    needs: &["nvv4l2decoder", "nvvideoconvert"],
    from: "DeepStream, where there are an NVIDIA GPU and its driver",
};

pub(super) fn cuda(files: &Files) -> anyhow::Result<Plan> {
    plan(files, &CUDA)
}

pub(super) fn nvmm(files: &Files) -> anyhow::Result<Plan> {
    plan(files, &NVMM)
}

fn plan(files: &Files, way: &Way) -> anyhow::Result<Plan> {
    let Way { caps, decoder, download, .. } = way;
    for element in way.needs {
        let mut inspect = Command::new("gst-inspect-1.0");
        ensure!(
            succeeds(inspect.args(["--exists", element])),
            "GStreamer has no {element} here; it is in {}",
            way.from
        );
    }
    let (input, output) = (quoted(&files.input), quoted(&files.output));
    let encoder = h264_encoder()?;
    let options = || OBSERVED.map(str::to_owned).to_vec();
    let sender = format!(
        "filesrc location={input} ! qtdemux ! h264parse ! {decoder} ! {caps} ! tee name=t \
         t. ! queue ! nvdsucxserversink name=ucx port={PORT} buf-type=nvdsucx-buf-video sync=false \
         t. ! queue ! {download} ! video/x-raw,format=NV12 ! {SEEN} ! fakesink sync=false"
    );
    let receiver = format!(
        "nvdsucxclientsrc name=ucx port={PORT} buf-type=nvdsucx-buf-video ! {caps} ! queue ! \
         {download} ! video/x-raw,format=NV12 ! {SEEN} ! videoconvert ! {encoder} ! h264parse ! qtmux ! \
         filesink location={output}"
    );
    Ok(Plan {
        server: Program { options: options(), ..Program::sender(sender) },
        clients: vec![Program { options: options(), ..Program::receiver(receiver) }],
        checks: vec![Check::Decodes(files.output.clone())],
        choice: None,
    })
}
