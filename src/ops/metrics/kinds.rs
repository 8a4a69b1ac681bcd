//! The closed sets of label values: what the stages say instead of strings.

/// How a record left its transform for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processed {
    /// With output.
    Ok,
    /// Deliberately without.
    Filtered,
    /// Rejected.
    Invalid,
    /// Given up after its last attempt.
    Failed,
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The broker has the offsets.
    Ok,
    /// It has not.
    Failed,
}

/// How an assignment changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// Partitions came.
    Assign,
    /// Partitions went, in order.
    Revoke,
    /// Partitions were taken away.
    Lost,
}

impl Processed {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Filtered => "filtered",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }
}

impl Commit {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

impl Rebalance {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Assign => "assign",
            Self::Revoke => "revoke",
            Self::Lost => "lost",
        }
    }
}
