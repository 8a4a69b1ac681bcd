//! `RUST_LOG`: what is logged.

use tracing_subscriber::filter::Targets;

/// A filter as `RUST_LOG` has it.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn log_filter(text: &str) -> Result<Targets, String> {
    let words: Vec<&str> = words(text).collect();
    if let Some(word) = words.iter().find(|word| looks_like_a_level(word)) {
        return Err(format!(
            "{word:?} is not a level (it would be the name of a module, and nothing be logged)"
        ));
    }
    words.join(",").parse().map_err(|error: tracing_subscriber::filter::ParseError| error.to_string())
}

/// The same filter with the debug lines of a target in it, unless it says something about that target itself.
pub fn with_debug_of(target: &str, text: &str) -> String {
    let named = words(text).any(|word| word.split('=').next() == Some(target));
    if named { text.to_owned() } else { format!("{text},{target}=debug") }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// Whether a word alone is meant as a level, and is none. It would parse, as the name of a target, and silence all else.
fn looks_like_a_level(word: &str) -> bool {
    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
    const FOREIGN: [&str; 4] = ["verbose", "fatal", "all", "none"];
    let word = word.to_ascii_lowercase();
    let plain = word.len() > 1 && word.bytes().all(|b| b.is_ascii_alphabetic());
    let near = |level: &str| word != level && (word.starts_with(level) || level.starts_with(&word));
    plain && (LEVELS.into_iter().any(near) || FOREIGN.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in [
            "processor=loud",
            "info,=x=",
            "infoo",
            "info,Warning",
            "verbose",
            "inf",
            "processor=info,debugging",
        ] {
            log_filter(filter).map(|_| filter).expect_err(filter);
        }
    }

    #[test]
    fn usual_filters_are_taken() {
        for filter in
            ["info", "INFO", "off", "warn,processor=debug", "processor", "processor::kafka=trace,error", ""]
        {
            log_filter(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        }
    }

    #[test]
    fn librdkafkas_lines_are_added_where_nothing_is_said_of_them() {
        let with_librdkafka = |text| with_debug_of("librdkafka", text);
        assert_eq!(with_librdkafka("info"), "info,librdkafka=debug");
        assert_eq!(with_librdkafka("info, librdkafka=off"), "info, librdkafka=off");
        assert_eq!(with_librdkafka("librdkafka"), "librdkafka");
    }
}
