//! Everything, for programs.

use serde_json::{Value, json};

use super::super::plan::{Case, Kind, Pipelines, Transport};
use super::super::sample::{Sample, Side};
use super::Report;

/// One run a line.
pub(crate) fn json(report: &Report) -> String {
    let skipped = report.skipped.iter().map(|(name, reason)| json!({ "transport": name, "reason": reason }));
    let failed = report.results.iter().flat_map(|results| {
        let case = results.case;
        results.runs.iter().filter_map(move |runs| {
            let reason = runs.failure.as_ref()?;
            Some(json!({ "case": case.name(), "transport": runs.transport.name, "reason": reason }))
        })
    });
    let runs = report.results.iter().flat_map(|results| {
        let case = results.case;
        results.runs.iter().flat_map(move |runs| {
            runs.samples.iter().map(move |sample| run(case, runs.transport, sample).to_string())
        })
    });
    let head = [
        ("machine", report.machine.json()),
        ("seconds", report.seconds.into()),
        ("reps", report.reps.into()),
        ("skipped", skipped.collect()),
        ("failed", failed.collect()),
    ];
    let head: Vec<_> = head.into_iter().map(|(key, value)| format!("\"{key}\": {value},\n")).collect();
    format!("{{\n{}\"runs\": [\n{}\n]\n}}\n", head.concat(), runs.collect::<Vec<_>>().join(",\n"))
}

fn run(case: Case, transport: &Transport, sample: &Sample) -> Value {
    let workload = case.workload;
    let pipelines = match &transport.kind {
        Kind::Pipelines(Pipelines { send, receive, memory, .. }) => {
            json!({ "send": send, "receive": receive, "memory": format!("{memory:?}").to_lowercase() })
        }
        Kind::Alone | Kind::Perftest { .. } => Value::Null,
    };
    json!({
        "case": case.name(),
        "workload": workload.name,
        "touched": case.touch,
        "bytes": workload.bytes,
        "window": case.window(),
        "fps": workload.fps,
        "transport": transport.name,
        "group": format!("{:?}", transport.group).to_lowercase(),
        "pipelines": pipelines,
        "ucx_tls": transport.tls,
        "rep": sample.rep,
        "frames_per_second": sample.frames_per_second,
        "megabytes_per_second": sample.frames_per_second * f64::from(workload.bytes) / 1e6,
        "sender": side(sample.sender),
        "receiver": sample.receiver.map(side),
        "latency_us": sample.latency.map(|latency| json!({
            "p50": latency.p50, "p99": latency.p99, "max": latency.max,
        })),
        "latencies_ns": sample.latencies,
        "noise_percent": sample.noise,
        "quiet": sample.is_quiet(),
        "ucx": sample.ucx,
        "lanes": sample.lanes,
        "path": sample.way,
    })
}

fn side(side: Side) -> Value {
    json!({ "cpu_ms_per_frame": side.cpu_ms, "peak_kib": side.peak_kib, "pss_kib": side.pss_kib })
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn the_json_has_all_of_it() {
        let value: Value = serde_json::from_str(&json(&report())).unwrap();
        assert_eq!(value["machine"]["gstreamer"], "1.22.0");
        assert_eq!(value["skipped"][0]["transport"], "cudaipc");
        assert_eq!(value["runs"].as_array().map(Vec::len), Some(2));
        assert_eq!(value["runs"][0]["frames_per_second"], 200_000.0);
        assert_eq!(value["runs"][1]["latencies_ns"][0], json!([80_000, 9]));
    }
}
