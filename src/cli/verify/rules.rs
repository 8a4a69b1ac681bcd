//! What the judge is to look for, and what it is to put up with.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::policy::Order;

/// How many of a kind are put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// No more than so many.
    UpTo(u64),
    /// As many as there are.
    Any,
}

impl Limit {
    /// Whether so many are within it.
    pub(crate) fn allows(self, count: u64) -> bool {
        match self {
            Self::UpTo(limit) => count <= limit,
            Self::Any => true,
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self::UpTo(0)
    }
}

impl std::str::FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "any" => Ok(Self::Any),
            _ => text.parse().map(Self::UpTo).map_err(|_| "neither a number nor any".to_owned()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpTo(limit) => write!(f, "{limit}"),
            Self::Any => f.write_str("any"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::UpTo(limit) => serializer.serialize_u64(*limit),
            Self::Any => serializer.serialize_str("any"),
        }
    }
}

/// What a result has in common with its record. (A dead letter has all of it, and that is always looked at.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Same {
    /// The key.
    pub key: bool,
    /// The headers, but for those that the program adds.
    pub headers: bool,
    /// The whole value.
    pub value: bool,
    /// The value of a record that the generator stamped, but for the field `status`.
    pub stamped: bool,
}

impl Default for Same {
    fn default() -> Self {
        Self { key: true, headers: true, value: false, stamped: true }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The output topic.
    pub output: String,
    /// The dead-letter topic, if there is one.
    pub dead_letters: Option<String>,
    /// The group; dead letters of another one are none of ours.
    pub group: Option<String>,
    /// What has to be in order in the output.
    pub order: Order,
    /// Whether a key has to stay in one partition of the output.
    pub keys_stay: bool,
    /// What has to come out as it went in.
    pub same: Same,
    /// Results beyond the first that are put up with.
    pub repeated: Limit,
    /// Records without a result that are put up with, because the transform filters: they cannot be told from lost ones.
    pub filtered: Limit,
    /// Records without a result behind the group's committed offset that are put up with, because it is still at work.
    pub unfinished: Limit,
    /// Partitions beyond a key's first that are put up with, because the output got more of them.
    pub split: Limit,
    /// How many of each kind are named.
    pub examples: usize,
}
