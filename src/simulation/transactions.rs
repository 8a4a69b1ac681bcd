//! The coordinator of transactions: names and epochs, what is open, offsets that are committed with what was written, and what
//! becomes of a transaction that nobody ends.
//!
//! As with Kafka, a transaction is decided first and done later, when the markers are written: until then its offsets are
//! neither there nor not there, its records are hidden, and its name takes no other transaction. An epoch that is not the
//! newest of its name is shut out, whatever it asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::calls::{Ask, Request, Transacting};
use super::oracle::{Place, What};
use super::plan::Sabotage;
use super::producing::Target;
use super::world::{Due, World};
use crate::kafka::membership::Membership;

/// How old a transaction may be once faults have stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the coordinator says.
pub(super) enum Says {
    Done,
    /// Not now: the client asks again by itself.
    Later,
    Abort(Code),
    ShutOut,
    /// That cannot be asked for now.
    Wrong,
}

/// A name.
pub(super) struct Name {
    name: String,
    epoch: u32,
    open: Option<Open>,
    /// The last transaction was committed, and none was begun since.
    committed: bool,
    /// The newest client.
    pub client: usize,
    /// How often each incarnation was told that it is shut out.
    pub told: BTreeMap<usize, u32>,
}

#[derive(Default)]
struct Open {
    number: u64,
    /// In the order in which they were written.
    written: Vec<Entry>,
    offsets: BTreeMap<i32, (i64, String)>,
    /// It is decided: committed, or not.
    decided: Option<bool>,
}

/// A record in a log: hidden, while its transaction is open.
#[derive(Clone, Copy)]
struct Entry {
    target: Target,
    place: Place,
    what: What,
    position: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Transactions {
    pub names: Vec<Name>,
    pub requests: BTreeMap<u64, Request>,
    count: u64,
}

impl Transactions {
    /// Whether an open transaction may change the offset of one of these partitions.
    pub(super) fn are_unstable(&self, partitions: impl IntoIterator<Item = i32>) -> bool {
        let open: Vec<&Open> = self.names.iter().filter_map(|name| name.open.as_ref()).collect();
        partitions.into_iter().any(|one| open.iter().any(|open| open.offsets.contains_key(&one)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

/// Whether a client's record may be written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MayWrite {
    Yes,
    Later,
    ShutOut,
}

impl World {
    /// A client of this name is made.
    pub(super) fn named(&mut self, client: usize, name: &str) -> Transacting {
        let names = &mut self.transactions.names;
        let known = names.iter().position(|known| known.name == name);
        let of = known.unwrap_or(names.len());
        if known.is_none() {
            let (name, told) = (name.to_owned(), BTreeMap::new());
            names.push(Name { name, epoch: 0, open: None, committed: false, client, told });
        }
        names[of].client = client;
        self.note(|| format!("producer {client} is called {name}"));
        Transacting::new(of)
    }

    /// Whether the coordinator lies like this, all the time.
    fn lies(&self, how: Sabotage) -> bool {
        self.plan.sabotage == Some(how)
    }

    pub(super) fn transacting(&mut self, client: usize) -> &mut Transacting {
        self.producing.producers[client].transacting.as_mut().expect("a client with transactions")
    }

    pub(super) fn name_of(&mut self, client: usize) -> &mut Name {
        let of = self.transacting(client).of;
        &mut self.transactions.names[of]
    }

    /// What the coordinator makes of a request.
    pub(super) fn coordinate(&mut self, request: &Request) -> Says {
        let client = request.client;
        match &request.ask {
            Ask::Init => self.init(client),
            _ if request.epoch != Some(self.name_of(client).epoch)
                && !self.lies(Sabotage::EpochUnchecked) =>
            {
                Says::ShutOut
            }
            Ask::Offsets(offsets, member) => self.take_offsets(client, offsets, member),
            Ask::End { commit } => self.decide(client, *commit),
        }
    }

    /// A new client ends what an older one of its name left open.
    fn init(&mut self, client: usize) -> Says {
        let of = self.transacting(client).of;
        let name = &mut self.transactions.names[of];
        if name.client != client {
            return Says::ShutOut;
        }
        name.epoch += 1;
        let epoch = name.epoch;
        if let Some(open) = &name.open {
            if open.decided.is_none() {
                self.note(|| "it left a transaction open".to_owned());
                self.end_in(of, false);
            }
            return Says::Later;
        }
        self.transacting(client).epoch = Some(epoch);
        Says::Done
    }

    fn open(&mut self, of: usize) -> &mut Open {
        if self.transactions.names[of].open.is_none() {
            let number = self.transactions.next();
            let name = &mut self.transactions.names[of];
            name.open = Some(Open { number, ..Open::default() });
            name.committed = false;
            let patience = if self.healed { PATIENCE } else { self.plan.transaction_timeout };
            self.after(patience, Due::TooOld(of, number));
        }
        self.transactions.names[of].open.as_mut().expect("opened just now")
    }

    fn take_offsets(&mut self, client: usize, offsets: &[(i32, i64, String)], member: &Membership) -> Says {
        let of = self.transacting(client).of;
        if self.open(of).decided.is_some() {
            return Says::Later;
        }
        let is_it = |id: &usize| self.group.members[id].name(*id) == member.member;
        let known = self.group.joined.iter().any(is_it);
        let current = i64::from(member.generation) == self.group.generation as i64;
        let is_refused = !known || !current;
        if is_refused && !self.lies(Sabotage::TakesZombies) {
            return Says::Abort(if known { Code::IllegalGeneration } else { Code::UnknownMemberId });
        }
        if offsets.iter().any(|(_, _, metadata)| metadata.len() > self.plan.metadata_limit) {
            return Says::Abort(Code::OffsetMetadataTooLarge);
        }
        for (partition, offset, metadata) in offsets {
            self.open(of).offsets.insert(*partition, (*offset, metadata.clone()));
        }
        Says::Done
    }

    fn decide(&mut self, client: usize, commit: bool) -> Says {
        let of = self.transacting(client).of;
        let name = &self.transactions.names[of];
        match name.open.as_ref().map(|open| open.decided) {
            Some(None) => {
                self.end_in(of, commit);
                Says::Done
            }
            Some(Some(decided)) if decided == commit => Says::Done,
            None if commit || !name.committed => Says::Done,
            _ => Says::Wrong,
        }
    }

    /// It is decided; done it is a little later.
    fn end_in(&mut self, of: usize, commit: bool) {
        let name = &mut self.transactions.names[of];
        name.committed = commit;
        let open = name.open.as_mut().expect("what is decided is open");
        open.decided = Some(commit);
        let (number, called) = (open.number, name.name.clone());
        self.note(|| format!("transaction {number} of {called}: to be committed: {commit}"));
        let time = self.latency();
        self.after(time, Due::Ended(of));
    }

    /// Nobody has ended it in time.
    pub(super) fn too_old(&mut self, of: usize, number: u64) {
        let name = &mut self.transactions.names[of];
        if name.open.as_ref().is_some_and(|open| open.number == number && open.decided.is_none()) {
            name.epoch += 1;
            self.note(|| format!("transaction {number} is too old"));
            self.end_in(of, false);
        }
    }

    /// Somebody uses a name that is in use, and goes away.
    pub(super) fn shut_one_out(&mut self) {
        let names = self.transactions.names.len();
        if names == 0 {
            return;
        }
        let of = self.random.usize(..names);
        let name = &mut self.transactions.names[of];
        name.epoch += 1;
        let (called, open) =
            (name.name.clone(), name.open.as_ref().is_some_and(|open| open.decided.is_none()));
        self.note(|| format!("somebody else is called {called}"));
        if open {
            self.end_in(of, false);
        }
    }

    /// The markers are written.
    pub(super) fn ended(&mut self, of: usize) {
        let Some(open) = self.transactions.names[of].open.take() else { return };
        let number = open.number;
        self.note(|| format!("transaction {number} has ended"));
        if open.decided == Some(true) {
            self.committed(open);
        } else if self.sabotages(Sabotage::ShowsAborted) {
            self.show(&open.written);
        }
    }

    fn show(&mut self, written: &[Entry]) {
        for Entry { target, place, what, position } in written {
            self.note(|| format!("visible in {target:?}: {place:?} {what:?}"));
            let draft = self.draft_of(*place);
            self.oracle.written(*place, *what, (*target, *position), draft);
        }
    }

    /// What is written becomes visible, and the offsets count: both or none.
    fn committed(&mut self, open: Open) {
        self.show(&open.written);
        let drops = self.sabotages(Sabotage::DropsOffsets);
        for (partition, (offset, metadata)) in open.offsets.into_iter().filter(|_| !drops) {
            let before = self.group.committed.get(&partition).map_or(0, |(offset, _)| *offset);
            if offset < before {
                self.oracle.wrong("backwards", format!("{partition}@{offset} is committed after {before}"));
            }
            self.note(|| format!("committed: {partition}@{offset}"));
            self.group.committed.insert(partition, (offset, metadata));
            self.look_below(partition, offset);
        }
        for Entry { place: (partition, offset), .. } in open.written {
            let end = self.group.committed.get(&partition).map_or(0, |(end, _)| *end);
            if offset >= end {
                self.oracle
                    .wrong("apart", format!("{partition}/{offset} is visible, and {end} is committed"));
            }
        }
    }

    fn look_below(&mut self, partition: i32, offset: i64) {
        let below = self.inputs[partition as usize].iter().take_while(|input| input.offset < offset);
        let open: Vec<i64> = below
            .filter(|input| !self.oracle.is_finished((partition, input.offset), input.draft.kind))
            .map(|input| input.offset)
            .collect();
        for one in open {
            self.oracle.wrong("watermark", format!("{partition}/{one} is open, and {offset} is committed"));
        }
    }

    /// Whether the broker takes a record of this client.
    pub(super) fn may_write(&mut self, client: usize) -> MayWrite {
        let epoch = self.transacting(client).epoch;
        let name = self.name_of(client);
        match &name.open {
            _ if epoch != Some(name.epoch) => MayWrite::ShutOut,
            Some(open) if open.decided.is_some() => MayWrite::Later,
            _ => MayWrite::Yes,
        }
    }

    /// The coordinator hears that something is to be written.
    pub(super) fn add_to_transaction(&mut self, client: usize) {
        let of = self.transacting(client).of;
        self.open(of);
    }

    /// These are written, and hidden.
    pub(super) fn write_hidden(&mut self, client: usize, writes: Vec<(Place, What)>, target: Target) {
        let of = self.transacting(client).of;
        for (place, what) in writes {
            let position = self.transactions.next();
            self.note(|| format!("written to {target:?}, and hidden: {place:?} {what:?}"));
            self.open(of).written.push(Entry { target, place, what, position });
        }
    }

    /// A transaction is open, or somebody's is.
    pub(super) fn has_open(&self) -> bool {
        self.transactions.names.iter().any(|name| name.open.is_some())
    }
}
