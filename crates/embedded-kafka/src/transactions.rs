//! Who writes transactions, under which epoch, and what is in the one that is open.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::codes;
use crate::group::Place;

/// The longest transaction, as Kafka's default has it.
const MAX_TIMEOUT: Duration = Duration::from_secs(900);

/// How the last transaction of a producer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Committed,
    Aborted,
}

/// A producer with a transactional id.
#[derive(Debug)]
struct Producer {
    id: i64,
    epoch: i16,
    timeout: Duration,
    /// When the open transaction began.
    began: Option<Instant>,
    places: BTreeSet<Place>,
    groups: BTreeSet<String>,
    last: Option<End>,
    /// The epoch before, if its producer may go on with the present one: it had it renewed and may ask again, should
    /// the answer be lost, or its transaction took too long.
    renewed: Option<i16>,
}

/// A transaction that is to end: markers go to all its partitions, and its offsets count or do not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub producer: i64,
    pub epoch: i16,
    pub commit: bool,
    pub places: BTreeSet<Place>,
    pub groups: BTreeSet<String>,
}

/// All producers, by transactional id.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    producers: BTreeMap<String, Producer>,
    next_id: i64,
}

/// What a request says of its producer.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub transactional_id: String,
    pub producer: i64,
    pub epoch: i16,
    /// The version of its request knows the code for being fenced; older ones know an old epoch only.
    pub knows_fenced: bool,
}

impl Producer {
    fn ending(&mut self, commit: bool) -> Ending {
        self.began = None;
        self.last = Some(if commit { End::Committed } else { End::Aborted });
        Ending {
            producer: self.id,
            epoch: self.epoch,
            commit,
            places: std::mem::take(&mut self.places),
            groups: std::mem::take(&mut self.groups),
        }
    }

    /// Ends what is open as if it had failed, under an epoch that fences whoever has the present one.
    fn fence(&mut self) -> Option<Ending> {
        self.epoch += 1;
        self.renewed = None;
        self.began.is_some().then(|| self.ending(false))
    }
}

impl Transactions {
    fn new_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// An id and an epoch for an idempotent producer, or for a transactional one: then whoever had that id is fenced, and
    /// what it left open is the second part, to be ended. `known` is what the producer has already and wants renewed.
    ///
    /// # Errors
    /// The error code.
    pub(crate) fn init(
        &mut self,
        transactional_id: Option<&str>,
        timeout: Duration,
        known: Option<(i64, i16)>,
    ) -> Result<((i64, i16), Option<Ending>), i16> {
        let Some(transactional_id) = transactional_id else {
            return Ok(((self.new_id(), 0), None));
        };
        if transactional_id.is_empty() {
            return Err(codes::INVALID_REQUEST);
        }
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            return Err(codes::INVALID_TRANSACTION_TIMEOUT);
        }
        let fresh = self.new_id();
        let Some(producer) = self.producers.get_mut(transactional_id) else {
            let producer = Producer {
                id: fresh,
                epoch: 0,
                timeout,
                began: None,
                places: BTreeSet::new(),
                groups: BTreeSet::new(),
                last: None,
                renewed: None,
            };
            self.producers.insert(transactional_id.to_owned(), producer);
            return Ok(((fresh, 0), None));
        };
        match known {
            Some((id, epoch)) if id == producer.id && producer.renewed == Some(epoch) => {
                return Ok(((producer.id, producer.epoch), None));
            }
            Some((id, epoch)) if id != producer.id || epoch != producer.epoch => {
                return Err(codes::INVALID_PRODUCER_EPOCH);
            }
            _ => {}
        }
        producer.timeout = timeout;
        let ending = producer.fence();
        producer.renewed = known.map(|(_, epoch)| epoch);
        producer.last = None;
        if producer.epoch == i16::MAX {
            // No epoch is left: a new id begins again at 0.
            (producer.id, producer.epoch, producer.renewed) = (fresh, 0, None);
        }
        Ok(((producer.id, producer.epoch), ending))
    }

    fn claimed(&mut self, claim: &Claim) -> Result<&mut Producer, i16> {
        let producer = self.producers.get_mut(&claim.transactional_id);
        let producer =
            producer.filter(|p| p.id == claim.producer).ok_or(codes::INVALID_PRODUCER_ID_MAPPING)?;
        match producer.epoch == claim.epoch {
            true => Ok(producer),
            false if claim.knows_fenced => Err(codes::PRODUCER_FENCED),
            false => Err(codes::INVALID_PRODUCER_EPOCH),
        }
    }

    /// Puts partitions into the transaction; it begins with the first.
    pub(crate) fn add_places(
        &mut self,
        claim: &Claim,
        places: impl Iterator<Item = Place>,
        now: Instant,
    ) -> i16 {
        self.claimed(claim).map_or_else(
            |code| code,
            |producer| {
                producer.began.get_or_insert(now);
                producer.places.extend(places);
                codes::NONE
            },
        )
    }

    /// Puts a group's offsets into the transaction.
    pub(crate) fn add_group(&mut self, claim: &Claim, group: &str, now: Instant) -> i16 {
        self.claimed(claim).map_or_else(
            |code| code,
            |producer| {
                producer.began.get_or_insert(now);
                producer.groups.insert(group.to_owned());
                codes::NONE
            },
        )
    }

    /// Whether this producer may commit offsets of this group now.
    pub(crate) fn may_commit_offsets(&mut self, claim: &Claim, group: &str) -> i16 {
        match self.claimed(claim) {
            Err(code) => code,
            Ok(producer) if producer.groups.contains(group) => codes::NONE,
            Ok(_) => codes::INVALID_TXN_STATE,
        }
    }

    /// Whether this producer may write to this partition in its transaction.
    pub(crate) fn may_write(&mut self, claim: &Claim, place: &Place) -> i16 {
        match self.claimed(claim) {
            Err(code) => code,
            Ok(producer) if producer.places.contains(place) => codes::NONE,
            Ok(_) => codes::INVALID_TXN_STATE,
        }
    }

    /// Ends the transaction. `None`: it has ended this way already.
    ///
    /// # Errors
    /// The error code, when it is not open or this producer has no say.
    pub(crate) fn end(&mut self, claim: &Claim, commit: bool) -> Result<Option<Ending>, i16> {
        let producer = self.claimed(claim)?;
        let wanted = if commit { End::Committed } else { End::Aborted };
        match producer.began {
            Some(_) => Ok(Some(producer.ending(commit))),
            None if producer.last == Some(wanted) => Ok(None),
            None => Err(codes::INVALID_TXN_STATE),
        }
    }

    /// Fences whoever takes too long; what it left open is to be ended.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Ending> {
        let late = |p: &&mut Producer| p.began.is_some_and(|began| now.duration_since(began) >= p.timeout);
        let time_out = |producer: &mut Producer| {
            let epoch = producer.epoch;
            let ending = producer.fence();
            producer.renewed = Some(epoch);
            ending
        };
        self.producers.values_mut().filter(late).filter_map(time_out).collect()
    }
}
