//! Records as the tests know them: what they send, where it came to stand, and what they read back.

use std::time::{SystemTime, UNIX_EPOCH};

/// Headers in order, duplicates included.
pub(crate) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// The header that carries a record's identity where its value cannot.
pub(crate) const ID: &str = "test-id";

/// What should become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It is written to the output topic.
    Output,
    /// It is written to the output topic in so many parts; 0: it is filtered.
    Parts(usize),
    /// It is written to the dead-letter topic, with this reason.
    DeadLetter(&'static str),
}

/// A record to send.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Unique in the test; in the value, or in the header [`ID`], or in both.
    pub id: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    /// Milliseconds since 1970; -1 is none, as in Kafka.
    pub timestamp: i64,
    /// `None`: as the key says.
    pub partition: Option<i32>,
    pub expect: Expect,
}

impl Input {
    /// A record that the built-in transform accepts. It has no headers, as most records have none.
    pub(crate) fn valid(id: &str) -> Self {
        let now = now_ms();
        let value = format!(
            r#"{{"id":"{id}","timestamp":"{}","data":"more than ten characters","status":"new","other":1.50}}"#,
            jiff::Timestamp::from_millisecond(now).expect("now is a time")
        );
        Self {
            id: id.to_owned(),
            key: None,
            value: Some(value.into_bytes()),
            headers: Vec::new(),
            timestamp: now,
            partition: None,
            expect: Expect::Output,
        }
    }

    /// A record that is refused because its value is not JSON.
    pub(crate) fn invalid(id: &str) -> Self {
        Self::valid(id).value(Some(b"{\"id\":".to_vec())).dead("invalid_json")
    }

    /// The same, with this value; it now bears its identity in a header.
    pub(crate) fn value(mut self, value: Option<Vec<u8>>) -> Self {
        self.value = value;
        self.stamped()
    }

    /// The same, with its identity in a header.
    pub(crate) fn stamped(mut self) -> Self {
        self.headers.push((ID.to_owned(), Some(self.id.clone().into_bytes())));
        self
    }

    /// The same, under this key.
    pub(crate) fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    /// The same, in this partition whatever the key says.
    pub(crate) fn to(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// The same, with one header more.
    pub(crate) fn header(mut self, name: &str, value: Option<&[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
        self
    }

    /// Valid as before, and larger than 100,000 bytes. Random, so that no compression saves it.
    pub(crate) fn large(self) -> Self {
        let text = String::from_utf8(self.value.clone().unwrap_or_default()).expect("JSON is text");
        let data: String = (0..100_000).map(|_| fastrand::alphanumeric()).collect();
        let value = text.replace("more than ten characters", &data).into_bytes();
        Self { value: Some(value), ..self }
    }

    /// The same, expected in the dead-letter topic for this reason.
    pub(crate) fn dead(mut self, reason: &'static str) -> Self {
        self.expect = Expect::DeadLetter(reason);
        self
    }
}

/// A record that the cluster took, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub input: Input,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

impl Sent {
    /// What should be written for it, wherever: its identity with the number of each part.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (String, usize)> {
        let parts = match self.input.expect {
            Expect::Output | Expect::DeadLetter(_) => 1,
            Expect::Parts(parts) => parts,
        };
        (0..parts).map(|part| (self.input.id.clone(), part))
    }
}

/// A record that was read back.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    pub timestamp: Option<i64>,
}

impl Seen {
    /// The identity its sender gave it.
    pub(crate) fn id(&self) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.header(ID).map(text).or_else(|| {
            let value: serde_json::Value = serde_json::from_slice(self.value.as_deref()?).ok()?;
            Some(value.get("id")?.as_str()?.to_owned())
        })
    }

    /// The value of the first header with this name.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).and_then(|(_, value)| value.as_deref())
    }

    /// A header that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header(name)?).ok()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(now.as_millis()).expect("the clock is before the year 292,000,000")
}
