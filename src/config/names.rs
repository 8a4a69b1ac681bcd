//! What the name of a variable means: one of ours, a property of librdkafka, the `_FILE` twin of a secret, something that
//! Kubernetes put there, or a typing error.

use super::problem::SettingProblem;
use super::table::{SETTINGS, Setting};
use crate::kafka::properties::{self, Property, Role};

/// What a value is for.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    /// A setting of the table.
    Setting(&'static Setting),
    /// A property that is handed to librdkafka.
    Property(Role, &'static Property),
}

/// Subjects with the same key are the same thing under different names.
pub(super) type Key = (Role, &'static str);

/// A name that is known.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub subject: Subject,
    /// The value is the path of a file that has the value.
    pub file: bool,
}

impl Subject {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Setting(setting) => (Role::Both, setting.name),
            Self::Property(role, property) => (*role, property.canonical),
        }
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Property(_, property) if property.secret)
    }

    /// The value as it may be shown: only where it is known to be no secret. A user may still have put one where none
    /// belongs, so that what looks like credentials in a URL or like a key is not shown either.
    pub(super) fn shown(&self, text: &str) -> String {
        let public = match self {
            Self::Setting(_) => true,
            Self::Property(_, property) => property.public,
        };
        let servers = matches!(self, Self::Setting(setting) if setting.name == "KAFKA_SERVERS");
        let credentials = text.contains('@') && (servers || text.contains("://"));
        if !public || credentials || text.contains("-----BEGIN") {
            return "***".into();
        }
        shorten(text)
    }
}

/// Longer values are cut where they are shown.
const LONGEST_SHOWN: usize = 200;

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The meaning of a name, if it has one.
pub(super) fn resolve(name: &str) -> Option<Known> {
    direct(name).map(|subject| Known { subject, file: false }).or_else(|| {
        let subject = direct(name.strip_suffix("_FILE")?).filter(Subject::is_secret)?;
        Some(Known { subject, file: true })
    })
}

fn direct(name: &str) -> Option<Subject> {
    let setting = SETTINGS.iter().find(|s| s.name == name || s.aliases.contains(&name));
    match setting.map(|setting| (setting, setting.property())) {
        Some((_, Some(property))) => Some(Subject::Property(Role::Both, property)),
        Some((setting, None)) => Some(Subject::Setting(setting)),
        None => properties::of_variable(name).map(|(role, property)| Subject::Property(role, property)),
    }
}

/// Names that begin so are meant for us, or look so.
const PREFIXES: [&str; 6] = ["KAFKA_", "PROCESSOR_", "WORKER_", "TASKS_", "CONSUMERS_", "PRODUCERS_"];

/// Whether a name looks as if it were meant for us.
pub(super) fn looks_ours(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What there is to say of a name that [`resolve`] does not know; `None` where it is clearly somebody else's. It has no
/// effect, and another program of the same environment may well need it: so it is a warning, never a fault. Where it is a
/// slip in the name of a setting that is required, the missing one is a fault of its own beside it.
///
/// The value is looked at for its scheme only and never shown: a slip in a name may hide a secret.
pub(super) fn judge(name: &str, value: &str) -> Option<SettingProblem> {
    if !looks_ours(name) {
        return judge_stranger(name);
    }
    if is_service_link(name, value) || is_tooling(name) {
        return None;
    }
    if let Some(fix) = properties::instead_of_java(name) {
        return Some(SettingProblem::new("PC012", name, "has no effect: only the Java client knows it", fix));
    }
    if let Some(plain) = name.strip_suffix("_FILE").filter(|plain| direct(plain).is_some()) {
        let rule = "has no effect: only secrets can be read from a file";
        return Some(SettingProblem::new("PC007", name, rule, format!("Set {plain} itself.")));
    }
    if KAFKA_SCRIPTS.contains(&name) || name.starts_with("KAFKA_LOG4J") || name.starts_with("KAFKA_JMX") {
        return Some(SettingProblem::new("PC007", name, "has no effect: Kafka's own scripts read it", ""));
    }
    Some(judge_typo(name))
}

/// Variables of Kafka's shell scripts and images, which many machines have set.
const KAFKA_SCRIPTS: [&str; 7] = [
    "KAFKA_HOME",
    "KAFKA_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_VERSION",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG_DIRS",
];

fn judge_typo(name: &str) -> SettingProblem {
    let known = known_names();
    match nearest(name, known.iter().map(String::as_str)) {
        Some((meant, _)) => unknown(name, meant),
        None => SettingProblem::new("PC007", name, UNKNOWN, ""),
    }
}

const UNKNOWN: &str = "unknown, and has no effect";

/// A name without one of our prefixes: `CONSUMER_COUNT`, `kafka_servers`. Only the settings of the table are compared.
fn judge_stranger(name: &str) -> Option<SettingProblem> {
    let upper = name.to_ascii_uppercase();
    if upper != name && looks_ours(&upper) && resolve(&upper).is_some() {
        return Some(unknown(name, &upper));
    }
    let near = |known: &&str| {
        known.len().abs_diff(name.len()) <= 1
            && known.len() > 8
            && distance(name.as_bytes(), known.as_bytes()) == 1
    };
    table_names().find(near).map(|meant| unknown(name, meant))
}

fn unknown(name: &str, meant: &str) -> SettingProblem {
    SettingProblem::new("PC007", name, UNKNOWN, format!("Did you mean {meant}?"))
}

fn table_names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().flat_map(|s| std::iter::once(s.name).chain(s.aliases.iter().copied()))
}

fn known_names() -> Vec<String> {
    let mut names: Vec<String> = table_names().map(str::to_owned).collect();
    for property in properties::all() {
        for role in [Role::Both, Role::Consumer, Role::Producer] {
            let name = property.variable(role);
            if property.is_for(role) && property.secret {
                names.push(format!("{name}_FILE"));
            }
            if property.is_for(role) {
                names.push(name);
            }
        }
    }
    names
}

/// Kubernetes puts `<SERVICE>_PORT=tcp://…` and the like into every pod: a service named `kafka` must not break us.
fn is_service_link(name: &str, value: &str) -> bool {
    let address = value.starts_with("tcp://") || value.starts_with("udp://");
    let transport = ["_TCP_", "_UDP_"].iter().any(|part| name.contains(part))
        || name.ends_with("_TCP")
        || name.ends_with("_UDP");
    let service = ["_SERVICE_HOST", "_SERVICE_PORT"]
        .iter()
        .any(|part| name.split_once(part).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('_')));
    address || transport || service || name.starts_with("KAFKA_PORT_")
}

/// Names of our own test set-up.
fn is_tooling(name: &str) -> bool {
    name.starts_with("PROCESSOR_TEST_")
        || name.starts_with("KAFKA_TEST_") && !name.starts_with("KAFKA_TEST_MOCK_")
}

/// The nearest of `known` and its distance, if it is near enough to be meant at all: at most three edits, and no more
/// than a quarter of the name.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<(&'a str, usize)> {
    let limit = 3.min(name.len() / 4);
    known
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit)
        .map(|candidate| (candidate, distance(name.as_bytes(), candidate.as_bytes())))
        .filter(|&(_, edits)| edits <= limit)
        .min_by_key(|&(_, edits)| edits)
}

/// Edits between two names: a letter put in, left out or changed, or two neighbours swapped (optimal string alignment).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_links_are_ignored() {
        let links = [
            ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
            ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
            ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
            ("KAFKA_SERVICE_HOST", "10.0.0.1"),
            ("KAFKA_SERVICE_PORT_CLIENT", "9092"),
            ("KAFKA_UI_SERVICE_PORT", "8080"),
            ("KAFKA_BROKERS_PORT", "tcp://10.0.0.1:9092"),
            ("PROCESSOR_SERVICE_HOST", "10.0.0.1"),
            ("WORKER_PORT_80_UDP_PROTO", "udp"),
        ];
        for (name, value) in links {
            assert!(resolve(name).is_none() && judge(name, value).is_none(), "{name}");
        }
    }

    #[test]
    fn a_slip_is_told_what_was_meant_and_strangers_are_left_alone() {
        for (name, meant) in [
            ("KAFKA_SALS_USERNAME", "KAFKA_SASL_USERNAME"),
            ("WORKER_POL", "WORKER_POOL"),
            ("CONSUMER_COUNT", "CONSUMERS_COUNT"),
            ("KAFKA_BROKER", "KAFKA_BROKERS"),
            ("KAFKA_LINGERMS", "KAFKA_LINGER_MS"),
            ("KAKFA_SERVERS", "KAFKA_SERVERS"),
            ("kafka_servers", "KAFKA_SERVERS"),
        ] {
            let problem = judge(name, "").expect(name);
            assert_eq!(problem.fix, format!("Did you mean {meant}?"), "{name}");
        }
        for name in
            ["KAFKA_HOME", "KAFKA_ADVERTISED_LISTENERS", "PROCESSOR_WORKERS", "KAFKA_MAX_POLL_RECORDS"]
        {
            assert!(judge(name, "").is_some(), "{name}");
        }
        for name in ["PATH", "HOME", "KAFKA_TEST_SERVERS", "RUST_BACKTRACE"] {
            assert!(judge(name, "").is_none(), "{name}");
        }
    }

    #[test]
    fn only_a_secret_has_a_file_twin() {
        assert!(resolve("KAFKA_SASL_PASSWORD_FILE").is_some_and(|known| known.file));
        assert!(resolve("KAFKA_CONSUMER_SSL_KEY_PEM_FILE").is_some_and(|known| known.file));
        assert!(
            resolve("KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE").is_some_and(|known| !known.file)
        );
        assert!(resolve("KAFKA_GROUP_ID_FILE").is_none());
        assert!(
            judge("KAFKA_GROUP_ID_FILE", "").is_some_and(|problem| problem.fix.contains("KAFKA_GROUP_ID "))
        );
    }

    #[test]
    fn one_edit_of_each_sort() {
        for (a, b) in [("SASL", "SALS"), ("SASL", "SAL"), ("SASL", "SASSL"), ("SASL", "SASK")] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), 1, "{a} {b}");
        }
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"same", b"same"), 0);
    }

    #[test]
    fn far_names_are_not_suggested() {
        let known = ["WORKER_POOL", "KAFKA_GROUP_ID"];
        assert_eq!(nearest("WROKER_POOL", known.into_iter()), Some(("WORKER_POOL", 1)));
        assert_eq!(nearest("KAFKA_HOME", known.into_iter()), None);
    }
}
