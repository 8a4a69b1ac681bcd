//! The two text formats that scrapers read, and which of them one asks for.

use std::borrow::Cow;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own of before, which everybody reads.
    Text,
}

impl Format {
    /// What a scraper asks for in its `Accept` header: OpenMetrics where it names it and likes nothing better; the plain text
    /// otherwise, as agents and people who ask for nothing in particular know no more than that.
    pub fn asked(accept: &str) -> Self {
        let [mut metrics, mut text] = [0.0_f32; 2];
        for (kind, version, weight) in accept.split(',').map(offer) {
            match (kind.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => metrics = metrics.max(weight),
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", None) => text = text.max(weight),
                _ => {}
            }
        }
        if metrics > 0.0 && metrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A media type, its version and its weight.
fn offer(entry: &str) -> (String, Option<&str>, f32) {
    let mut parts = entry.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let (mut version, mut weight) = (None, 1.0);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => version = Some(value.trim().trim_matches('"')),
            "q" => weight = value.trim().parse().unwrap_or(0.0),
            _ => {}
        }
    }
    (kind, version, weight)
}

/// OpenMetrics in the plain text format: a counter or an info is described by the name that its samples have, an info is a gauge
/// that is always 1, units are part of the name only, and nothing says that it is the end.
pub(super) fn as_text(metrics: &str) -> String {
    let mut text = String::with_capacity(metrics.len() + 1024);
    // The help of a family comes before its type, and its name depends on that.
    let mut help = "";
    for line in metrics.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", ..] => help = line,
            ["#", "TYPE", name, kind] => {
                let (name, kind): (Cow<'_, str>, _) = match kind {
                    "counter" => (format!("{name}_total").into(), "counter"),
                    "info" => (format!("{name}_info").into(), "gauge"),
                    "unknown" => (name.into(), "untyped"),
                    kind => (name.into(), kind),
                };
                if let Some(words) = std::mem::take(&mut help).splitn(4, ' ').nth(3) {
                    text += &format!("# HELP {name} {words}\n");
                }
                text += &format!("# TYPE {name} {kind}\n");
            }
            ["#", ..] => {}
            _ => {
                text += line;
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        use Format::{OpenMetrics, Text};
        for (accept, format) in [
            ("", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", Text),
            ("text/plain;version=0.0.4", Text),
            // Prometheus 2.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            // Prometheus 3, and one that is told to like the plain text better.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", Text),
            // A version that is not ours, and one that is refused.
            ("application/openmetrics-text;version=0.0.1", Text),
            ("application/openmetrics-text;q=0", Text),
            ("Application/OpenMetrics-Text; Version=1.0.0; q=1", OpenMetrics),
            ("application/openmetrics-text; q=x, ;;, =,", Text),
        ] {
            assert_eq!(Format::asked(accept), format, "{accept}");
        }
    }

    #[test]
    fn families_are_described_by_the_names_of_their_samples() {
        let metrics = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"# y\"} 1\n\
            # HELP v Version.\n# TYPE v info\nv_info{n=\"1\"} 1\n\
            # HELP t_seconds Time.\n# TYPE t_seconds histogram\n# UNIT t_seconds seconds\nt_seconds_sum 2.0\n\
            # TYPE g gauge\ng 3\n# EOF\n";
        let text = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"# y\"} 1\n\
            # HELP v_info Version.\n# TYPE v_info gauge\nv_info{n=\"1\"} 1\n\
            # HELP t_seconds Time.\n# TYPE t_seconds histogram\nt_seconds_sum 2.0\n\
            # TYPE g gauge\ng 3\n";
        assert_eq!(as_text(metrics), text);
    }
}
