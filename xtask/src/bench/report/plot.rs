//! Plots, as SVG to be put into HTML. All scales are logarithmic: what is compared differs by factors of hundreds.

use std::fmt::Write as _;

use super::super::plan::Group;
use super::significant;

const WIDTH: f64 = 900.0;
/// For the transports' names.
const LEFT: f64 = 150.0;
/// For the values.
const RIGHT: f64 = 170.0;
const TOP: f64 = 8.0;
/// For the scale.
const BOTTOM: f64 = 26.0;
const BAR_ROW: f64 = 22.0;
const RIDGE_ROW: f64 = 34.0;
/// How finely a distribution is drawn.
const STEPS: usize = 145;

/// A transport with a bar for each value.
pub(super) struct Bars {
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) values: Vec<f64>,
}

/// A transport with the distribution of its latencies: nanoseconds, and how many frames took so long.
pub(super) struct Ridge {
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) latencies: Vec<(u64, u64)>,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) max_us: f64,
}

/// From a power of ten to another.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
}

/// Horizontal bars; nothing where there are no values.
pub(super) fn bars(title: &str, unit: &str, rows: &[Bars]) -> String {
    let values = rows.iter().flat_map(|row| &row.values).copied();
    let Some(scale) = Scale::over(values) else { return String::new() };
    let height = TOP + BAR_ROW * count(rows.len()) + BOTTOM;
    let mut svg = begin(title, height);
    scale.grid(&mut svg, height, unit);
    for (number, row) in rows.iter().enumerate() {
        let top = TOP + BAR_ROW * count(number);
        let middle = top + BAR_ROW * 0.68;
        label(&mut svg, row.name, row.group, middle);
        let thickness = (BAR_ROW - 6.0) / count(row.values.len());
        let mut end = LEFT;
        for (part, value) in row.values.iter().enumerate() {
            // However small, it is seen.
            let width = (scale.x(*value) - LEFT).max(2.0);
            end = end.max(LEFT + width);
            let (class, y) = (class(row.group), top + 3.0 + thickness * count(part));
            let _ = write!(
                svg,
                r#"<rect class="{class} part{part}" x="{LEFT:.0}" y="{y:.1}" width="{width:.1}" height="{:.1}"/>"#,
                thickness - 0.5,
            );
        }
        let text: Vec<_> = row.values.iter().map(|value| significant(*value)).collect();
        value(&mut svg, end + 5.0, middle, &text.join(" + "));
    }
    svg + "</svg>"
}

/// A curve for each transport: how often it took how long, with marks at the median, the 99th percentile and the maximum.
pub(super) fn ridges(title: &str, rows: &[Ridge]) -> String {
    let values = rows.iter().flat_map(|row| {
        let shortest = row.latencies.first().map(|(nanoseconds, _)| microseconds(*nanoseconds));
        shortest.into_iter().chain([row.max_us])
    });
    let Some(scale) = Scale::over(values) else { return String::new() };
    let height = TOP + RIDGE_ROW * count(rows.len()) + BOTTOM;
    let mut svg = begin(title, height);
    scale.grid(&mut svg, height, "µs");
    for (number, row) in rows.iter().enumerate() {
        let bottom = TOP + RIDGE_ROW * count(number + 1) - 4.0;
        let middle = bottom - 6.0;
        label(&mut svg, row.name, row.group, middle);
        let (class, outline) = (class(row.group), ridge(scale, row, bottom));
        let _ = write!(svg, r#"<path class="{class} ridge" d="{outline}"/>"#);
        let marks = [("p50", row.p50_us), ("p99", row.p99_us), ("max", row.max_us)];
        for (name, value) in marks {
            let (x, top) = (scale.x(value), bottom - 12.0);
            let value = significant(value);
            let _ = write!(
                svg,
                r#"<line class="mark" x1="{x:.1}" x2="{x:.1}" y1="{top:.1}" y2="{bottom:.1}"><title>{name} {value} µs</title></line>"#,
            );
        }
        let text = marks.map(|(_, value)| significant(value)).join(" / ");
        value(&mut svg, WIDTH - RIGHT + 8.0, middle, &text);
    }
    svg + "</svg>"
}

/// The outline of a distribution, as high as the row where it is most frequent.
fn ridge(scale: Scale, row: &Ridge, bottom: f64) -> String {
    let mut steps = [0_u64; STEPS];
    let width = WIDTH - LEFT - RIGHT;
    for (nanoseconds, frames) in &row.latencies {
        let share = (scale.x(microseconds(*nanoseconds)) - LEFT) / width;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited on both sides")]
        let step = (share * count(STEPS)).clamp(0.0, count(STEPS - 1)) as usize;
        steps[step] += frames;
    }
    let most = steps.iter().copied().max().unwrap_or_default().max(1);
    let mut path = format!("M{LEFT:.1} {bottom:.1}");
    for (step, frames) in steps.iter().enumerate() {
        let x = LEFT + width * (count(step) + 0.5) / count(STEPS);
        let height = (RIDGE_ROW - 8.0) * share_of(*frames, most);
        let _ = write!(path, "L{x:.1} {:.1}", bottom - height);
    }
    let _ = write!(path, "L{:.1} {bottom:.1}Z", LEFT + width);
    path
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values = values.filter(|value| *value > 0.0 && value.is_finite());
        let (low, high) =
            values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        let (low, high) = (low.log10().floor(), high.log10().ceil());
        Some(Self { low, high: high.max(low + 1.0) })
    }

    fn x(self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        LEFT + (WIDTH - LEFT - RIGHT) * share.clamp(0.0, 1.0)
    }

    fn grid(self, svg: &mut String, height: f64, unit: &str) {
        let (bottom, y) = (height - BOTTOM, height - BOTTOM + 15.0);
        let mut exponent = self.low;
        while exponent <= self.high {
            let value = 10_f64.powf(exponent);
            let (x, text) = (self.x(value), power(value));
            let _ = write!(
                svg,
                r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP:.0}" y2="{bottom:.1}"/><text class="scale" x="{x:.1}" y="{y:.1}">{text}</text>"#,
            );
            exponent += 1.0;
        }
        value(svg, WIDTH - RIGHT + 34.0, y, unit);
    }
}

fn begin(title: &str, height: f64) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH:.0} {height:.0}" role="img" aria-label="{title}" xmlns="http://www.w3.org/2000/svg">"#
    )
}

fn label(svg: &mut String, name: &str, group: Group, y: f64) {
    let (x, class) = (LEFT - 8.0, class(group));
    let _ = write!(svg, r#"<text class="name {class}-name" x="{x:.0}" y="{y:.1}">{name}</text>"#);
}

fn value(svg: &mut String, x: f64, y: f64, text: &str) {
    let _ = write!(svg, r#"<text class="value" x="{x:.1}" y="{y:.1}">{text}</text>"#);
}

/// The style of a group of transports.
pub(super) fn class(group: Group) -> &'static str {
    match group {
        Group::Ours => "ours",
        Group::Peer => "peer",
        Group::Roof => "roof",
        Group::Ceiling => "ceiling",
    }
}

/// A power of ten, in short.
fn power(value: f64) -> String {
    match value {
        value if value >= 0.9e6 => format!("{:.0}M", value / 1e6),
        value if value >= 0.9e3 => format!("{:.0}k", value / 1e3),
        value if value >= 0.9 => format!("{value:.0}"),
        value => format!("{value:.7}").trim_end_matches('0').to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few rows")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "it is only drawn")]
fn share_of(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[expect(clippy::cast_precision_loss, reason = "it is only drawn")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(value: f64) -> Bars {
        Bars { name: "nvdsucx", group: Group::Ours, values: vec![value] }
    }

    #[test]
    fn a_scale_reaches_from_a_power_of_ten_to_another() {
        let scale = Scale::over([263.0, 184_000.0].into_iter()).unwrap();
        assert_eq!((scale.low, scale.high), (2.0, 6.0));
        assert_eq!((scale.x(100.0), scale.x(1e6)), (LEFT, WIDTH - RIGHT));
        assert!((scale.x(10_000.0) - (LEFT + WIDTH - RIGHT) / 2.0).abs() < 1e-9);
        let one = Scale::over([100.0].into_iter()).unwrap();
        assert_eq!((one.low, one.high), (2.0, 3.0));
        assert!(Scale::over([0.0, f64::NAN].into_iter()).is_none());
    }

    #[test]
    fn a_longer_bar_is_a_larger_value() {
        let widths = |svg: &str| -> Vec<f64> {
            let after = |part: &str| part.split('"').next().unwrap().parse().unwrap();
            svg.split(" width=\"").skip(1).map(after).collect()
        };
        let found = widths(&bars("rates", "frames/s", &[bar(100.0), bar(1_000.0), bar(10_000.0)]));
        assert_eq!(found.len(), 3);
        assert!(found[0] < found[1] && found[1] < found[2], "{found:?}");
        assert_eq!(bars("rates", "frames/s", &[]), "");
    }

    #[test]
    fn a_distribution_is_highest_where_most_frames_are() {
        let latencies = vec![(10_000, 10), (100_000, 1000), (1_000_000, 1)];
        let row = Ridge {
            name: "nvdsucx",
            group: Group::Ours,
            latencies,
            p50_us: 100.0,
            p99_us: 100.0,
            max_us: 1000.0,
        };
        let scale = Scale::over([10.0, 1000.0].into_iter()).unwrap();
        let path = ridge(scale, &row, 100.0);
        let points = path.split(['M', 'L', 'Z']).filter_map(|point| {
            let (x, y) = point.split_once(' ')?;
            Some((x.parse::<f64>().ok()?, y.parse::<f64>().ok()?))
        });
        let (x, _) = points.min_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap();
        assert!((x - scale.x(100.0)).abs() < 5.0, "{x}");
        assert!(ridges("latencies", &[row]).contains("p99 100 µs"));
    }

    #[test]
    fn powers_of_ten_are_short() {
        for (value, text) in [(1e6, "1M"), (1e4, "10k"), (100.0, "100"), (0.01, "0.01"), (0.0001, "0.0001")] {
            assert_eq!(power(value), text);
        }
    }
}
