//! Secrets and certificates whose files change while the program runs: whether they have, and the settings with what they have now.

use std::hash::Hasher as _;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::Config;
use crate::kafka::properties::{Properties, Role, is_taken};

impl Config {
    /// A hash of all that librdkafka reads from files when a client is made: certificates, keys, authorities.
    pub fn hash_of_files(&self) -> u64 {
        let mut hash = Xxh3::new();
        for path in self.clients().into_iter().flat_map(Properties::files) {
            note(&mut hash, path);
        }
        hash.finish()
    }

    /// The same with the secrets that their files have now; `None` where one of them has none.
    pub fn read_again(&self) -> Option<Self> {
        let [consumer_properties, producer_properties] = self.clients().map(Properties::read_again);
        let (consumer_properties, producer_properties) = (consumer_properties?, producer_properties?);
        Some(Self { consumer_properties, producer_properties, ..self.clone() })
    }

    /// Whether the other has other secrets from files, apart from the password that clients can be given while they live.
    pub fn has_other_secrets(&self, other: &Self) -> bool {
        let secrets = |config: &Self| -> Vec<(PathBuf, Option<String>)> {
            let all = config.clients().into_iter().flat_map(Properties::secrets);
            all.filter(|(path, _)| self.password_file.as_deref() != Some(*path))
                .map(|(path, text)| (path.to_owned(), text.map(str::to_owned)))
                .collect()
        };
        secrets(self) != secrets(other)
    }

    /// Whether clients can be made of it: a certificate may have been replaced, and its key not yet.
    pub fn makes_clients(&self) -> bool {
        let [consumer, producer] = self.clients();
        is_taken(Role::Consumer, consumer) && is_taken(Role::Producer, producer)
    }

    fn clients(&self) -> [&Properties; 2] {
        [&self.consumer_properties, &self.producer_properties]
    }
}

/// The file of the password, where all clients have user and password in common.
pub(super) fn password_file([one, two]: [&Properties; 2]) -> Option<PathBuf> {
    let file = |client: &Properties| client.file_of("sasl.password").map(Path::to_owned);
    let same = one.get("sasl.username") == two.get("sasl.username") && file(one) == file(two);
    file(one).filter(|_| same)
}

/// A file's contents, or those of the files in a folder. What cannot be read counts as empty.
fn note(hash: &mut Xxh3, path: &Path) {
    let mut files = vec![path.to_owned()];
    if let Ok(entries) = path.read_dir() {
        files = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
    }
    for file in files.iter().filter(|file| file.is_file()) {
        hash.write(file.as_os_str().as_encoded_bytes());
        hash.write(&std::fs::read(file).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "KAFKA_SASL_PASSWORD_FILE";
    const CONSUMERS: &str = "KAFKA_CONSUMER_SASL_PASSWORD_FILE";

    /// A file of the test's own.
    fn file(name: &str, text: &str) -> String {
        let path = std::env::temp_dir().join(format!("processor-rotation-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn with(variables: &[(&str, &str)]) -> Config {
        let minimum = [
            ("KAFKA_SERVERS", "localhost"),
            ("KAFKA_GROUP_ID", "group"),
            ("KAFKA_CONSUMER_TOPICS", "in"),
            ("KAFKA_CONSUMER_TOPIC", "out"),
            ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
            ("KAFKA_SASL_MECHANISM", "PLAIN"),
            ("KAFKA_SASL_USERNAME", "user"),
        ];
        let all = minimum.iter().chain(variables).map(|(name, value)| (name.into(), value.into()));
        crate::config::load(all, vec![]).unwrap().config
    }

    #[test]
    fn a_password_of_one_role_is_another_secret_and_that_of_all_clients_is_not() {
        let (all, one) = (file("all", "old\n"), file("one", "old\n"));
        let config = with(&[(PASSWORD, &all), (CONSUMERS, &one)]);
        assert_eq!(config.password_file, None, "not all clients have it");
        std::fs::write(&one, "new\n").unwrap();
        let now = config.read_again().unwrap();
        assert!(now.has_other_secrets(&config) && now.makes_clients());
        assert_eq!(now.consumer_properties.get("sasl.password"), Some("new"));
        assert_eq!(now.producer_properties.get("sasl.password"), Some("old"));
        assert!(!now.read_again().unwrap().has_other_secrets(&now));
        std::fs::write(&one, "").unwrap();
        assert!(config.read_again().is_none());

        let config = with(&[(PASSWORD, &all)]);
        assert_eq!(config.password_file.as_deref(), Some(Path::new(&all)));
        std::fs::write(&all, "new").unwrap();
        let now = config.read_again().unwrap();
        assert!(!now.has_other_secrets(&config));
        assert_eq!(now.consumer_properties.get("sasl.password"), Some("new"));
        // Another user for one role: clients that live could not be given the same.
        assert_eq!(with(&[(PASSWORD, &all), ("KAFKA_PRODUCER_SASL_USERNAME", "other")]).password_file, None);
        [all, one].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }

    #[test]
    fn a_file_that_librdkafka_reads_is_looked_at_whole_and_a_folder_with_all_in_it() {
        let (secret, folder) = (file("pw", "x"), file("folder", ""));
        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(format!("{folder}/a.pem"), "a").unwrap();
        let config = with(&[(PASSWORD, &secret), ("KAFKA_SSL_CA_LOCATION", &folder)]);
        let mut seen = vec![config.hash_of_files()];
        assert_eq!(config.hash_of_files(), seen[0]);
        for (name, text) in [("a.pem", "b"), ("b.pem", "b"), ("a.pem", "a")] {
            std::fs::write(format!("{folder}/{name}"), text).unwrap();
            seen.push(config.hash_of_files());
        }
        std::fs::remove_dir_all(&folder).unwrap();
        seen.push(config.hash_of_files());
        let different: std::collections::BTreeSet<u64> = seen.iter().copied().collect();
        assert_eq!(different.len(), seen.len(), "{seen:?}");
        // Half of a certificate where there was a folder.
        std::fs::write(&folder, "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
        assert!(!config.makes_clients());
        [folder, secret].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }
}
