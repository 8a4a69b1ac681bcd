//! A SASL password that may change while the program runs: where it came from a file, the file is read again when a login is refused, and
//! every client logs in with what it has now. librdkafka takes new credentials at its next login, so no client has to go.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;

use super::ffi::login::set_credentials;
use crate::sync::Mutex;

/// What all clients of the process log in with. By default nothing that could change.
#[derive(Default)]
pub struct Credentials {
    user: String,
    file: Option<PathBuf>,
    password: Mutex<String>,
    /// How often the password has changed.
    version: AtomicU64,
}

/// Which version of the credentials a client has.
#[derive(Debug, Default)]
pub struct Seen(AtomicU64);

impl Clone for Seen {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Credentials {
    /// A user whose password is in this file, and was `password` when it was read.
    pub fn new(user: String, password: String, file: PathBuf) -> Self {
        Self { user, file: Some(file), password: Mutex::new(password), version: AtomicU64::new(0) }
    }

    /// Reads the file again; whether it has another password now. One that is being replaced may be gone or empty for a moment.
    pub fn read_again(&self) -> bool {
        let text = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let new = text.trim_end_matches(['\n', '\r']);
        let mut password = self.password.lock();
        if new.is_empty() || *password == new {
            return false;
        }
        *password = new.to_owned();
        self.version.fetch_add(1, Ordering::Relaxed);
        tracing::info!("the file of the SASL password has changed: all clients log in with what it has now");
        true
    }

    /// Which version there is now: for clients that are made anew where it is not theirs.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Gives a client the password of now, unless it has it.
    pub fn renew<C: ClientContext>(&self, client: &Client<C>, seen: &Seen) {
        let version = self.version();
        if seen.0.swap(version, Ordering::Relaxed) != version {
            set_credentials(client, &self.user, &self.password.lock());
        }
    }

    /// The properties of a client that is made now, with what it has seen then.
    pub fn of_a_new_client(&self, properties: &ClientConfig) -> (ClientConfig, Seen) {
        let (mut properties, version) = (properties.clone(), self.version());
        if version > 0 {
            properties.set("sasl.password", self.password.lock().as_str());
        }
        (properties, Seen(AtomicU64::new(version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_has_now_counts_and_a_file_that_is_gone_or_empty_changes_nothing() {
        let file = std::env::temp_dir().join(format!("processor-password-{}", std::process::id()));
        let credentials = Credentials::new("u".to_owned(), "old".to_owned(), file.clone());
        let password =
            || credentials.of_a_new_client(&ClientConfig::new()).0.get("sasl.password").map(str::to_owned);
        credentials.read_again();
        assert_eq!((credentials.version(), password()), (0, None));
        for (text, version, expected) in [
            ("old\n", 0, None),
            ("new\r\n", 1, Some("new")),
            ("", 1, Some("new")),
            (" newer ", 2, Some(" newer ")),
        ] {
            std::fs::write(&file, text).unwrap();
            credentials.read_again();
            assert_eq!((credentials.version(), password().as_deref()), (version, expected), "{text:?}");
        }
        std::fs::remove_file(file).unwrap();
        credentials.read_again();
        assert_eq!(credentials.version(), 2);
    }
}
