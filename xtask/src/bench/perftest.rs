//! UCX alone: `ucx_perftest`, which comes with it.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::pipelines::WARM_UP;
use super::plan::{Case, Transport};
use super::process::{Ended, Process, Watch};
use super::sample::{Sample, Side};

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// It takes a number of messages, not a time: a short run tells how many fit.
const TRIAL_BYTES: u64 = 500_000_000;
const TRIAL_MESSAGES: u64 = 100_000;

/// One run of it.
struct Run {
    client: Ended,
    server: Ended,
    /// Messages a second.
    rate: f64,
    noise: f64,
}

pub(super) fn measure(
    case: Case,
    transport: &Transport,
    handles_errors: bool,
    rep: usize,
    seconds: u32,
) -> anyhow::Result<Sample> {
    let trial = (TRIAL_BYTES / u64::from(case.workload.bytes)).min(TRIAL_MESSAGES);
    let run = |messages, warm_up| run(case, transport, handles_errors, messages, warm_up, seconds);
    let trial = run(trial, trial / 10)?;
    let (warm_up, messages) = (whole(trial.rate * WARM_UP), whole(trial.rate * f64::from(seconds)));
    let run = run(messages, warm_up)?;
    // It shows no CPU times, so this is of its whole life, warm-up and start included.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2⁵² messages")]
    let side = |ended: &Ended| {
        let cpu_ms = 1e3 * ended.cpu / (messages + warm_up) as f64;
        Side { cpu_ms, peak_kib: None, pss_kib: None }
    };
    let (ucx, lanes) = identity(&run.client.lines);
    Ok(Sample {
        rep,
        frames_per_second: run.rate,
        sender: side(&run.client),
        receiver: Some(side(&run.server)),
        latency: None,
        latencies: Vec::new(),
        noise: run.noise,
        ucx,
        lanes,
        way: String::new(),
    })
}

fn run(
    case: Case,
    transport: &Transport,
    handles_errors: bool,
    messages: u64,
    warm_up: u64,
    seconds: u32,
) -> anyhow::Result<Run> {
    // It cannot be asked which port it got. Nobody else gets this one in the moment until it listens.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let command = || {
        let mut command = Command::new("ucx_perftest");
        command.args(["-p", &port.to_string()]).stdin(Stdio::null());
        // Its log tells the transports.
        command.env("UCX_LOG_LEVEL", "info");
        transport.choose_ucx_transports(&mut command);
        if let Some(gpus) = transport.gpus {
            command.args(["-m", "cuda"]);
            command.env("CUDA_VISIBLE_DEVICES", visible_gpus(gpus));
        }
        command
    };
    let watch = Watch::start()?;
    let mut server = Process::start("ucx_perftest server", &mut command())?;
    server.wait_until_listening(port, Instant::now() + STARTS_WITHIN)?;
    let mut client = command();
    // Only the final line.
    client.args(["127.0.0.1", "-t", "ucp_am_bw", "-f", "-s", &case.workload.bytes.to_string()]);
    // With error handling, as our endpoints have it: without, UCX chooses other transports.
    client.args(handles_errors.then_some("-e"));
    client.args(["-n", &messages.to_string(), "-w", &warm_up.to_string()]);
    if let Some(window) = case.window {
        client.args(["-O", &window.to_string()]);
    }
    let client = Process::start("ucx_perftest client", &mut client)?;
    let deadline = Instant::now() + Duration::from_secs_f64(WARM_UP + f64::from(seconds)) + ENDS_WITHIN;
    let [client, server] = Process::finish([client, server], deadline)?;
    let noise = watch.noise(client.cpu + server.cpu)?;
    let rate =
        client.lines.iter().rev().find_map(|line| overall_rate(line)).with_context(|| {
            format!("ucx_perftest's result is not understood:\n{}", client.lines.join("\n"))
        })?;
    ensure!(rate.is_finite() && rate > 0.0, "ucx_perftest measured nothing: {rate} messages/s");
    Ok(Run { client, server, rate, noise })
}

/// The GPUs that both sides see, to reach each other's. The server, which receives, takes the first of them, the client the next.
fn visible_gpus([sender, receiver]: [u32; 2]) -> String {
    if sender == receiver { sender.to_string() } else { format!("{receiver},{sender}") }
}

/// Messages a second, from the overall microseconds a message: its own rates are rounded.
fn overall_rate(line: &str) -> Option<f64> {
    let line = line.trim().strip_prefix("Final:").unwrap_or(line);
    let columns: Option<Vec<f64>> = line.split_whitespace().map(|column| column.parse().ok()).collect();
    // Messages; microseconds: percentile, average, overall; MB/s and messages/s: average, overall.
    match columns?.as_slice() {
        [_, _, _, overall, _, _, _, _] => Some(1e6 / overall),
        _ => None,
    }
}

/// UCX's release and the lanes for messages, from its log; empty what it does not tell.
fn identity(lines: &[String]) -> (String, String) {
    let between = |before: &str, after: char| {
        lines.iter().find_map(|line| {
            let (_, rest) = line.split_once(before)?;
            Some(rest.split(after).next().unwrap_or(rest).replace(' ', ","))
        })
    };
    let ucx = between(" Version ", ' ').unwrap_or_default();
    let lanes = between(" am(", ')').unwrap_or_default();
    (ucx, lanes)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count")]
fn whole(count: f64) -> u64 {
    count.max(1.0) as u64
}

#[cfg(test)]
mod tests {
    use super::{identity, overall_rate};

    #[test]
    fn a_final_line_is_read_with_and_without_its_label() {
        let short = "   2000   7634.017 15429.520  500.0      192.25     341.57          65         115";
        assert_eq!(overall_rate(short), Some(2000.0));
        let long = "Final:  2000      4.243       inf  500.0        0.00     429.20           0         145";
        assert_eq!(overall_rate(long), Some(2000.0));
        assert_eq!(overall_rate("|  Test  | # iterations | 50.0%ile |"), None);
        assert_eq!(overall_rate(""), None);
    }

    #[test]
    fn the_log_tells_release_and_lanes() {
        let log = [
            "[1.5] [vm:1:0] ucp_context.c:1849 UCX  INFO  Version 1.13.1 (loaded from libucp.so.0)",
            "[1.5] [vm:1:0] ucp_worker.c:1763 UCX  INFO    ep_cfg[0]: am(sysv/memory cma/memory) ka(tcp/lo)",
        ];
        assert_eq!(
            identity(&log.map(str::to_owned)),
            ("1.13.1".to_owned(), "sysv/memory,cma/memory".to_owned())
        );
    }
}
