//! The results as a page that needs nothing else.

use std::fmt::Write as _;

use super::super::plan::{Kind, Transport};
use super::super::sample::{Results, Runs};
use super::Report;
use super::plot::{self, Bars, Ridge};
use super::table::Table;

const STYLE: &str = include_str!("style.css");

const METHOD: &str = "\
<p>Two processes on one host. Every row has the same source, which stamps each buffer with its number and the time, and the same
sink, where a probe reads the stamp. At most so many buffers are in flight, counted outside the transport. A frame that is lost,
damaged or out of order fails the row. Both sides sleep while they wait.</p>
<ul>
<li><b>Zero-copy and 1 copy</b>: the source writes into the memory that the sink proposes; or it brings memory of its own, as a
decoder with its own pool does. Ratios compare a row with the best peer that could do the same.</li>
<li><b>Touched</b>: the source writes and the receiver reads every byte of every frame, and checks it. Otherwise the first 40.</li>
<li><b>CPU</b>: all threads of a process while it is measured, for a frame. <b>Latency</b>: from when the frame is complete at
the source until it is at the sink. As fast as it goes, that is the time through a full window.</li>
<li><b>Peak</b>: the most that was resident in a process (VmHWM), shared memory counted on each side. <b>Pss</b>: at the end, a
page that both have counted half on each side.</li>
<li><b>ceiling</b>: source and sink in one process with nothing between them: the limit of the measuring program itself.
<b>ucp_am_bw</b>: UCX without GStreamer (ucx_perftest), which polls.</li>
</ul>";

pub(crate) fn html(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>GStreamer buffers between two processes</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>GStreamer buffers between two processes</h1>\n<dl>\n"
    );
    for (name, value) in report.machine.fields() {
        let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
    }
    let _ = writeln!(page, "</dl>\n<p>{}.</p>", escaped(&report.how_often()));
    report.results.iter().for_each(|results| section(&mut page, results));
    if !report.skipped.is_empty() {
        page.push_str("<h2>Not measured</h2>\n<ul>\n");
        for (name, reason) in &report.skipped {
            let _ = writeln!(page, "<li><b>{name}</b>: {}</li>", escaped(reason));
        }
        page.push_str("</ul>\n");
    }
    let _ = writeln!(page, "<h2>How it is measured</h2>\n{METHOD}");
    pipelines(&mut page, report);
    page + "</body>\n</html>\n"
}

fn section(page: &mut String, results: &Results) {
    let table = Table::of(results);
    let (title, about) = (escaped(&table.title), escaped(&table.about));
    let _ = writeln!(page, "<h2>{title}</h2>\n<p>{about}</p>");
    let measured: Vec<_> = results.runs.iter().filter(|runs| !runs.samples.is_empty()).collect();
    if !results.case.is_paced() {
        let rates: Vec<_> = measured.iter().filter_map(|runs| rate(runs)).collect();
        let caption = "Frames a second: more is better. Logarithmic scale.";
        figure(page, caption, &plot::bars("frames a second", "frames/s", &rates));
    }
    let cpu: Vec<_> = measured.iter().filter_map(|runs| cpu(runs)).collect();
    let caption = "CPU milliseconds a frame, sender above receiver: less is better. Logarithmic scale.";
    figure(page, caption, &plot::bars("CPU time a frame", "ms/frame", &cpu));
    let latencies: Vec<_> = measured.iter().filter_map(|runs| latency(runs)).collect();
    let caption = "Latency: how many frames took how long, with marks at p50, p99 and the maximum (µs, at the right). \
                   Logarithmic scale.";
    figure(page, caption, &plot::ridges("latency", &latencies));

    page.push_str("<div class=\"wide\"><table>\n<tr>");
    for column in &table.columns {
        let _ = write!(page, "<th>{}</th>", escaped(&column.title));
    }
    page.push_str("</tr>\n");
    for row in &table.rows {
        let _ = write!(page, "<tr class=\"{}-row\">", plot::class(row.group));
        for (column, cell) in table.columns.iter().zip(&row.cells) {
            let class = if column.numeric { " class=\"number\"" } else { "" };
            let _ = write!(page, "<td{class}>{}</td>", escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n<ul>\n");
    for note in &table.notes {
        let _ = writeln!(page, "<li>{}</li>", escaped(note));
    }
    page.push_str("</ul>\n");
}

fn figure(page: &mut String, caption: &str, svg: &str) {
    if !svg.is_empty() {
        let _ = writeln!(page, "<figure>{svg}<figcaption>{caption}</figcaption></figure>");
    }
}

fn rate(runs: &Runs) -> Option<Bars> {
    let rate = runs.median(|sample| Some(sample.frames_per_second))?;
    Some(Bars { name: runs.transport.name, group: runs.transport.group, values: vec![rate] })
}

fn cpu(runs: &Runs) -> Option<Bars> {
    let sender = runs.median(|sample| Some(sample.sender.cpu_ms))?;
    let receiver = runs.median(|sample| Some(sample.receiver?.cpu_ms));
    let values = std::iter::once(sender).chain(receiver).collect();
    Some(Bars { name: runs.transport.name, group: runs.transport.group, values })
}

fn latency(runs: &Runs) -> Option<Ridge> {
    let counted = runs.counted();
    let max =
        counted.iter().filter_map(|sample| sample.latency).map(|latency| latency.max).reduce(f64::max)?;
    Some(Ridge {
        name: runs.transport.name,
        group: runs.transport.group,
        latencies: runs.latencies(),
        p50_us: runs.median(|sample| Some(sample.latency?.p50))?,
        p99_us: runs.median(|sample| Some(sample.latency?.p99))?,
        max_us: max,
    })
}

/// What was run.
fn pipelines(page: &mut String, report: &Report) {
    let mut transports: Vec<&Transport> = Vec::new();
    for transport in report.results.iter().flat_map(|results| &results.runs).map(|runs| runs.transport) {
        if !transports.iter().any(|other| other.name == transport.name) {
            transports.push(transport);
        }
    }
    page.push_str("<h2>Pipelines</h2>\n<dl class=\"pipelines\">\n");
    for transport in transports {
        let Kind::Pipelines(pipelines) = &transport.kind else { continue };
        let tls = transport.tls.map_or_else(String::new, |tls| format!("UCX_TLS={tls} "));
        let (send, receive) = (escaped(pipelines.send), escaped(pipelines.receive));
        let memory = format!("{:?}", pipelines.memory).to_lowercase();
        let _ = writeln!(
            page,
            "<dt>{}</dt><dd><code>{tls}source ! {send}</code><br><code>{tls}{receive} ! fakesink</code><br>\
             the source's memory: {memory}</dd>",
            transport.name
        );
    }
    page.push_str("</dl>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn the_page_has_everything_in_it() {
        let page = html(&report());
        for part in [
            "a &lt;fast&gt; one",
            "1.13.1",
            "cargo xtask bench",
            "200000",
            "<b>cudaipc</b>: there is no GPU",
            "source ! shmsink",
            "p99 80.0 µs",
        ] {
            assert!(page.contains(part), "no `{part}` in {page}");
        }
        // Rates, CPU time and latencies.
        assert_eq!(page.matches("<svg").count(), 3);
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_closes_what_it_opens() {
        let page = html(&report());
        let namespace = "xmlns=\"http://www.w3.org/2000/svg\"";
        assert!(!page.replace(namespace, "").contains("http"), "{page}");
        for tag in
            ["svg", "table", "tr", "td", "th", "figure", "ul", "li", "dl", "dt", "dd", "p", "text", "div"]
        {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}
