//! Bugs planted on purpose, to see whether the tests have teeth: with the feature `planted-bugs`, and only then, the engine
//! misbehaves in the one way that the variable `PLANTED_BUG` names. `scripts/mutants` demands of each that the test named in
//! `scripts/mutants.d/tests` fails with it and passes without.
//!
//! Without the feature [`planted`] is `false` for the compiler too, and nothing of this is in the program. With it a release
//! build of anything but the tests beside the code is refused, and the program says at its start what it is.

// The tests beside the code come with a library of their own, which has `internals`.
#[cfg(all(feature = "planted-bugs", not(debug_assertions), not(any(test, feature = "internals"))))]
compile_error!("the feature planted-bugs is for tests: a program with it loses records on request");

macro_rules! bugs {
    ($($name:ident: $what:literal,)*) => {
        /// What can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $(#[doc = $what] $name,)*
        }

        /// Each with its name.
        #[cfg(feature = "planted-bugs")]
        const ALL: &[(&str, Bug)] = &[$((stringify!($name), Bug::$name),)*];
    };
}

// One a line: the script reads them too.
bugs! {
    FinishedAtHandOver: "a record is finished when it is handed to a producer, before the broker has it",
    DeadLetterAtEnqueue: "a dead letter counts as written when it is made",
    FailedDeliveryIgnored: "the broker's answer that a record was not written is taken for a delivery",
    DroppedOnFullQueue: "a record that finds the client's queue full is let go",
    DeliveryWithoutOffset: "a delivery that tells no offset is believed, though the broker only took a later batch",
    OneLegIsEnough: "of several results of a record only the first is written",
    WatermarkByCounting: "the watermark adds one for each record instead of following the offsets delivered",
    WatermarkPassesOpen: "the watermark is one beyond the first record that is open",
    FinishMovesTheFirst: "whatever is finished, the oldest record is taken for it",
    RepeatAccepted: "an offset delivered a second time is worked on a second time",
    EpochUnchecked: "a ticket of an assignment that is gone finishes a record of the next one",
    StaleIsWritten: "results of a partition that was given up are written all the same",
    StaleKeepsBudget: "a record of a partition that was given up keeps its part of the budget",
    RoomForAll: "the budget is counted and not kept",
    RetryFreesItsLane: "a record that waits for its retry does not hold its lane",
    UntouchedToTheBack: "what a worker gives back untouched goes to the end of its lane",
    PutBackUnsorted: "what the sink puts back waits behind what is newer",
    LaneFreeBeforeResults: "a lane is given back before its results are on the ready list",
    HaltNotWaitedFor: "a producer goes on with what it took before the flow was halted",
    UnbegunOffByOne: "of the records that nobody has begun, the first is not given back",
    ReaderOvertakesWorkers: "a quick transform is run where its record was read, though workers have earlier ones",
    WakeUpForgotten: "a result that is pushed wakes no producer",
    RevokeWithoutCommit: "a partition is given up when its work is done, committed or not",
    RefusedCommitBelieved: "a commit that the broker refused counts as done",
    MapNamesOpen: "the offset map names a record that is still open",
    MapOfAnybody: "an offset map of another group, topic, partition or offset is believed",
    MapBeyondTheEnd: "an offset map that names records which do not exist is believed",
    MapIgnored: "an offset map is written, and not heeded by the next owner",
    TopicIdUnwatched: "a topic that was deleted and made again is taken for the one that it was",
    RetiredIsCommitted: "offsets of a topic that is gone are committed, to the topic that has its name",
    BreakerNeverOpens: "an outage is taken for many poisonous keys",
    MarkForgotten: "PROCESSOR_AFTER_FAILURE=run, and what is behind the failure is tried all the same",
    OffsetsOutside: "exactly once, and a transaction is committed without the offsets of what is in it",
    DeadLetterOutside: "exactly once, and a dead letter is left out of the transaction that its offset is in",
    CommitBeyondThePrefix: "exactly once, and what is behind an unfinished record is committed with the watermark",
    AbortForgets: "exactly once, and what was in a transaction that was aborted is not written again",
    StaleIsCommitted: "exactly once, and what is in a transaction is committed though its partition was given up",
    UnknownTakenForDone: "exactly once, and a commit whose outcome nobody knows counts as done",
    UnknownTakenForFailed: "exactly once, and a commit whose outcome nobody knows counts as not done",
    StandingKept: "exactly once, and a member whose partitions are lost commits as if they were not",
    NumbersUsedAgain: "exactly once, and the client that aborted what may have been written is used again",
    StopGoesOn: "PROCESSOR_ON_FAILURE=stop, and what is behind the failure is worked on until the end",
}

/// Whether this bug is planted.
#[cfg(not(feature = "planted-bugs"))]
pub const fn planted(_: Bug) -> bool {
    false
}

/// Whether this bug is planted.
#[cfg(feature = "planted-bugs")]
pub fn planted(bug: Bug) -> bool {
    named() == Some(bug)
}

/// Says what this program is, before it does anything.
#[cfg(feature = "planted-bugs")]
pub fn announce() {
    eprintln!(
        "WARNING: this is a build for tests of tests, with the feature planted-bugs. It loses records on request."
    );
    match named() {
        Some(bug) => eprintln!("WARNING: PLANTED_BUG is {bug:?}"),
        None => eprintln!("WARNING: PLANTED_BUG is not set: it behaves"),
    }
}

#[cfg(feature = "planted-bugs")]
fn named() -> Option<Bug> {
    static NAMED: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    *NAMED.get_or_init(|| {
        let name = std::env::var("PLANTED_BUG").ok().filter(|name| !name.is_empty())?;
        let bug = ALL.iter().find(|(known, _)| *known == name).map(|(_, bug)| *bug);
        assert!(bug.is_some(), "PLANTED_BUG={name} is none of those in src/planted.rs");
        bug
    })
}
