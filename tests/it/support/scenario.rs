//! One test's world: its topics, its group, what it sent, and the program's variables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::admin::{self, Offsets};
use super::client::{Sender, read_topic};
use super::evidence::Evidence;
use super::guarantees::{
    AtLeastOnce, CommittedIsFinished, CompleteDeadLetters, Guarantee, MonotonicOffsets, NoMoreThan,
    NothingInvented, OneAtATimePerLane, PerKeyOrder, PerPartitionOrder, PlacedByKey, Unchanged, judge,
};
use super::kafka::Kafka;
use super::process::{self, Instance};
use super::record::{Input, Sent};
use super::sampler::Sampler;
use super::setup::Mode;
use super::{eventually, seconds};

/// What a [`Scenario`] is made of.
pub(crate) struct World {
    pub kafka: Kafka,
    /// What [`Scenario::start`] starts.
    pub program: PathBuf,
    pub mode: Mode,
    /// Of the input, output and dead-letter topic.
    pub partitions: [i32; 3],
    pub group: String,
    pub input: String,
    pub output: String,
    pub dead_letters: String,
    pub variables: BTreeMap<String, String>,
}

/// One test's world, with what happened in it.
///
/// The clients go before the world, and with it the broker that may be theirs alone: they would wait for its answer.
pub(crate) struct Scenario {
    /// What was sent so far.
    pub sent: Vec<Sent>,
    pub(super) sender: Sender,
    sampler: Sampler,
    names: AtomicUsize,
    world: World,
}

impl std::ops::Deref for Scenario {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Scenario {
    /// The topics exist; nothing was sent.
    pub(crate) fn new(world: World) -> Self {
        let sampler = Sampler::start(&world.kafka, &world.group, &world.input, world.partitions[0]);
        let sender = Sender::new(&world.kafka);
        Self { world, sent: Vec::new(), sender, sampler, names: AtomicUsize::new(0) }
    }

    /// An identity no other record has.
    pub(crate) fn id(&self) -> String {
        format!("r{:06}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends these records and waits until the cluster has them.
    pub(crate) fn send(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let inputs = inputs.into_iter().collect();
        self.sent.extend(self.sender.send(&self.world.input, inputs));
    }

    /// From now on records are sent by a producer with these settings.
    pub(crate) fn send_with(&mut self, settings: &[(&str, &str)]) {
        self.sender = Sender::with(&self.kafka, settings);
    }

    /// Starts an instance of the program.
    pub(crate) fn start(&self) -> Instance {
        self.start_with(&[])
    }

    /// Starts an instance with these variables changed.
    pub(crate) fn start_with(&self, changes: &[(&str, &str)]) -> Instance {
        let mut variables = self.variables.clone();
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Instance::spawn(&self.program, &["run"], &variables)
    }

    /// Starts an instance that should end by itself, and returns its exit code and all it printed.
    pub(crate) fn run_to_end(&self, changes: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut instance = self.start_with(changes);
        let code = instance.wait_exit(seconds(60));
        (code, instance.log())
    }

    /// The same of another command of the program.
    pub(crate) fn command_to_end(&self, command: &str) -> (Option<i32>, String) {
        let mut instance = Instance::spawn(&self.program, &[command], &self.variables);
        let code = instance.wait_exit(seconds(60));
        (code, instance.log())
    }

    /// What the group has committed.
    pub(crate) fn committed(&self) -> Offsets {
        let mut offsets = None;
        eventually(seconds(60), "the cluster tells the group's offsets", || {
            offsets = self.sampler.now();
            offsets.is_some()
        });
        offsets.unwrap_or_default()
    }

    /// What the group has committed of one input partition; 0 when nothing.
    pub(crate) fn committed_of(&self, partition: i32) -> i64 {
        self.committed().get(&(self.input.clone(), partition)).copied().unwrap_or(0)
    }

    /// Lets a test that sets offsets back itself begin its observation anew.
    pub(crate) fn forget_committed(&self) {
        self.sampler.forget();
    }

    /// Tells that the input topic has more partitions now.
    pub(crate) fn input_grew_to(&mut self, partitions: i32) {
        self.world.partitions[0] = partitions;
        self.input_changed();
    }

    /// Tells that the input topic is another one than it was.
    pub(crate) fn input_changed(&mut self) {
        // A producer that knows the topic already learns of new partitions only after minutes.
        self.sender = Sender::new(&self.kafka);
        self.sampler = Sampler::start(&self.kafka, &self.group, &self.input, self.partitions[0]);
    }

    /// How many records the output and dead-letter topics hold, near enough to wait for.
    pub(crate) fn written(&self) -> usize {
        let [_, output, dead_letters] = self.partitions;
        let count = |topic, partitions| {
            let ends = admin::ends(&self.kafka, topic, partitions).unwrap_or_default();
            usize::try_from(ends.iter().sum::<i64>()).unwrap_or(0)
        };
        count(&self.output, output) + count(&self.dead_letters, dead_letters)
    }

    /// Waits until so many records are written.
    pub(crate) fn wait_until_written(&self, count: usize) {
        eventually(seconds(60), &format!("{count} records are written"), || self.written() >= count);
    }

    /// Waits until the group has committed everything that was sent.
    pub(crate) fn wait_until_committed(&self) {
        eventually(seconds(120), "everything sent is committed", || self.is_committed(|_| true));
    }

    /// Whether everything sent that `concerns` picks is committed.
    pub(crate) fn is_committed(&self, concerns: impl Fn(&Sent) -> bool) -> bool {
        let Some(committed) = self.sampler.now() else { return false };
        self.sent.iter().filter(|sent| concerns(sent)).all(|sent| {
            committed.get(&(sent.topic.clone(), sent.partition)).is_some_and(|&next| sent.offset < next)
        })
    }

    /// Waits until the group has so many members and is settled.
    pub(crate) fn wait_for_members(&self, count: usize) {
        eventually(seconds(60), &format!("the group has {count} members"), || {
            admin::members(&self.kafka, &self.group) == Some(count)
        });
    }

    /// Reads back what there is now. Offsets first: what is committed then must be in what is read after.
    pub(crate) fn evidence(&self) -> Evidence {
        self.committed();
        let [_, output_partitions, dead_letter_partitions] = self.partitions;
        let mut evidence = Evidence {
            sent: self.sent.clone(),
            committed: self.sampler.samples(),
            output: read_topic(&self.kafka, &self.output, output_partitions),
            dead_letters: read_topic(&self.kafka, &self.dead_letters, dead_letter_partitions),
            output_partitions,
            dead_letter_partitions,
            group: self.group.clone(),
            spans: Vec::new(),
        };
        evidence.spans = evidence.spans_in(self.mode);
        if self.program != process::processor() {
            let told = evidence.output.iter().all(|seen| !seen.ran().is_empty());
            assert!(told, "the probe does not say when it ran: there is nothing to judge");
        }
        evidence
    }

    /// Judges what must hold at every moment, records still missing or not.
    pub(crate) fn judge_so_far(&self) {
        judge(&self.evidence(), &self.always());
    }

    /// Judges a run that is over: everything has arrived, with so many repeats at most.
    pub(crate) fn judge(&self, repeats: usize) {
        self.judge_this(&self.evidence(), repeats);
    }

    /// As [`Scenario::judge`], on evidence that the test has put right for what it did itself.
    pub(crate) fn judge_this(&self, evidence: &Evidence, repeats: usize) {
        let mut all: Vec<&dyn Guarantee> = self.always();
        let limit = NoMoreThan { repeats };
        all.extend([&AtLeastOnce as &dyn Guarantee, &limit]);
        judge(evidence, &all);
    }

    /// As [`Scenario::judge`] without repeats, where the output was deleted with the results of these: their dead letters do not count.
    pub(crate) fn judge_without(&self, old: &[Sent]) {
        let mut evidence = self.evidence();
        evidence
            .dead_letters
            .retain(|letter| !old.iter().any(|sent| Some(&sent.input.id) == letter.id().as_ref()));
        self.judge_this(&evidence, 0);
    }

    /// Waits until all is done, stops the instance with SIGTERM, and judges: nothing lost, nothing repeated.
    pub(crate) fn finish(&self, mut instance: Instance) {
        self.wait_until_committed();
        instance.stop_cleanly();
        self.judge(0);
    }

    fn always(&self) -> Vec<&'static dyn Guarantee> {
        let mut all: Vec<&dyn Guarantee> = vec![
            &NothingInvented,
            &Unchanged,
            &PlacedByKey,
            &MonotonicOffsets,
            &CommittedIsFinished,
            &CompleteDeadLetters,
            &OneAtATimePerLane,
        ];
        match self.mode {
            Mode::Key => all.push(&PerKeyOrder),
            Mode::Partition => all.extend([&PerKeyOrder as &dyn Guarantee, &PerPartitionOrder]),
            Mode::Unordered => {}
        }
        all
    }
}
