//! Batches go out. A fetch waits until there is enough, or until its time is up.

use std::time::{Duration, Instant};

use super::{Call, Handled};
use crate::cluster::State;
use crate::codes;
use crate::log::{Log, Read};
use crate::wire::{Malformed, Reader, Writer};

struct Wanted {
    partition: i32,
    offset: i64,
    max_bytes: usize,
}

struct Fetch {
    wait: Duration,
    min_bytes: usize,
    max_bytes: usize,
    committed_only: bool,
    /// A session that the client believes we keep.
    session: i32,
    topics: Vec<(String, Vec<Wanted>)>,
}

/// What a partition's answer is made of.
struct Found {
    partition: i32,
    code: i16,
    end: i64,
    last_stable: i64,
    start: i64,
    read: Read,
}

fn size(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

fn parse(call: &Call<'_>, r: &mut Reader<'_>) -> Result<Fetch, Malformed> {
    r.i32()?; // replica
    let wait = Duration::from_millis(u64::try_from(r.i32()?).unwrap_or(0));
    let (min_bytes, max_bytes) = (size(r.i32()?), size(r.i32()?));
    let committed_only = r.i8()? == 1;
    let session = if call.version >= 7 { (r.i32()?, r.i32()?).0 } else { 0 };
    let topics = r.array(|r| {
        let name = r.string()?;
        let wanted = r.array(|r| {
            let partition = r.i32()?;
            if call.version >= 9 {
                r.i32()?; // leader epoch
            }
            let offset = r.i64()?;
            if call.version >= 5 {
                r.i64()?; // a follower's start
            }
            Ok(Wanted { partition, offset, max_bytes: size(r.i32()?) })
        })?;
        Ok((name, wanted))
    })?;
    if call.version >= 7 {
        r.array(|r| Ok((r.string()?, r.array(Reader::i32)?)))?; // what a session is to forget
    }
    if call.version >= 11 {
        r.string()?; // rack
    }
    Ok(Fetch { wait, min_bytes, max_bytes, committed_only, session, topics })
}

impl Fetch {
    /// Whether there is something to say: enough bytes, or an error.
    fn is_ready(&self, state: &State) -> bool {
        let mut bytes = 0;
        for (name, wanted) in &self.topics {
            for want in wanted {
                match state.topics.led(name, want.partition) {
                    Ok(log) if log.contains(want.offset) => {
                        bytes += log.available(want.offset, self.min_bytes, self.committed_only);
                    }
                    _ => return true,
                }
                if bytes >= self.min_bytes {
                    return true;
                }
            }
        }
        false
    }

    fn find(&self, state: &State) -> Vec<(&str, Vec<Found>)> {
        let mut left = self.max_bytes;
        let mut first = true;
        let mut one = |name: &str, want: &Wanted| match state.topics.led(name, want.partition) {
            Err(code) => Found::nothing(want.partition, code),
            Ok(log) if !log.contains(want.offset) => {
                Found { code: codes::OFFSET_OUT_OF_RANGE, ..Found::of(want.partition, log) }
            }
            Ok(log) => {
                let limit = want.max_bytes.min(left);
                let read = log.read(want.offset, limit, first, self.committed_only);
                left = left.saturating_sub(read.size());
                first &= read.batches.is_empty();
                Found { read, ..Found::of(want.partition, log) }
            }
        };
        let all = self.topics.iter();
        all.map(|(name, wanted)| (name.as_str(), wanted.iter().map(|want| one(name, want)).collect()))
            .collect()
    }
}

impl Found {
    fn nothing(partition: i32, code: i16) -> Self {
        Self { partition, code, end: -1, last_stable: -1, start: -1, read: Read::default() }
    }

    fn of(partition: i32, log: &Log) -> Self {
        Self {
            end: log.end(),
            last_stable: log.last_stable(),
            start: log.start(),
            ..Self::nothing(partition, codes::NONE)
        }
    }

    fn write(self, w: &mut Writer, version: i16) {
        w.i32(self.partition).i16(self.code).i64(self.end).i64(self.last_stable);
        if version >= 5 {
            w.i64(self.start);
        }
        let size = self.read.size();
        w.array(self.read.aborted, |w, (producer, first)| {
            w.i64(producer).i64(first);
        });
        if version >= 11 {
            w.i32(-1); // no replica to prefer
        }
        w.bytes_follow(size);
        for batch in self.read.batches {
            w.raw(&batch);
        }
    }
}

/// Sessions are not kept: each request says all. Clients are given none, and one that names one begins without.
fn no_session(call: &Call<'_>) -> Writer {
    let mut answer = call.throttled_answer(1);
    answer.i16(codes::FETCH_SESSION_ID_NOT_FOUND).i32(0).array([(); 0], |_, ()| {});
    answer
}

pub(super) fn fetch(call: &Call<'_>, body: &mut Reader<'_>) -> Handled {
    let fetch = parse(call, body)?;
    if fetch.session != 0 {
        return Ok(Some(no_session(call)));
    }
    let until = Instant::now() + fetch.wait;
    let mut state = call.cluster.lock();
    while call.refuse.is_none() && !fetch.is_ready(&state) && Instant::now() < until {
        if call.is_gone() {
            return Ok(None);
        }
        call.cluster.wait(&mut state, call.look_again(until));
    }
    let found = match call.refuse {
        None => fetch.find(&state),
        Some(code) => {
            let refused = |want: &Wanted| Found::nothing(want.partition, code);
            fetch.topics.iter().map(|(name, w)| (name.as_str(), w.iter().map(refused).collect())).collect()
        }
    };
    drop(state);
    let mut answer = call.throttled_answer(1);
    if call.version >= 7 {
        answer.i16(codes::NONE).i32(0);
    }
    answer.array(found, |w, (name, partitions)| {
        w.string(name).array(partitions, |w, found| found.write(w, call.version));
    });
    Ok(Some(answer))
}
