//! One run: topics and a group of its own, instances of the program, records that keep coming while things go wrong, and
//! what the faults need to do their work. The judging is in `verdict.rs`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, PASSWORD, USER};
use crate::instance::{Instance, Settings};
use crate::load::Load;
use crate::topics::Admin;
use crate::wait::{pass, seconds, until, while_it_moves};
use crate::watch::{self, Seen, Topics, Watch};

/// A member that says nothing for so long is no member any more.
pub(crate) const SESSION: Duration = seconds(6);
/// How much later than that the work of a dead one must go on.
pub(crate) const GRACE: Duration = seconds(10);
/// How long it takes at the most, from the start of instances to their first records, on a machine for which these limits are meant.
/// Where it takes longer, they are longer by twice the difference: what is to be done after a fault takes longer there too.
pub(crate) const USUAL_START: Duration = seconds(5);
/// What they are longer by at most: on a machine three times slower than those. A limit that grows without end forbids nothing.
const SLOWEST: Duration = seconds(20);
/// How soon work must go on where nothing but connections was disturbed: a client waits up to ten seconds before it connects anew, and
/// may have to join its group again. 9.5 s was the most that was seen on two busy cores.
pub(crate) const RECONNECTED: Duration = seconds(30);
/// Records that one instance may have in flight.
pub(crate) const IN_FLIGHT: u64 = 2000;
/// What is finished and not yet committed is no older than this.
pub(crate) const COMMIT_INTERVAL: Duration = seconds(1);
/// Partitions of the input and of the output.
pub(crate) const PARTITIONS: i32 = 6;
/// Partitions of the dead letters.
const DEAD_LETTER_PARTITIONS: i32 = 3;

/// What all runs have in common.
pub(crate) struct Plan {
    /// The program under test.
    pub program: PathBuf,
    /// Files of the runs.
    pub work: PathBuf,
    /// Records a run at least: they keep coming until its faults are over.
    pub records: u64,
    /// Records a second.
    pub rate: u64,
    /// Different keys.
    pub keys: u64,
    /// How many of a hundred records are broken, and so become dead letters.
    pub bad: u64,
    /// Where chance begins.
    pub seed: u64,
    /// Fewer repetitions of each fault.
    pub short: bool,
    /// `PROCESSOR_DELIVERY=exactly-once`.
    pub exactly_once: bool,
    /// Python and the program of a second reader, where there is one.
    pub reader: Option<(PathBuf, PathBuf)>,
}

/// What the faults of a run came to.
#[derive(Default)]
pub(crate) struct Count {
    /// Faults that were made, by the fault's own count.
    pub faults: u64,
    /// Instances that were killed, or not heard of for longer than a session: each may repeat some records.
    pub hard: u64,
    /// Records that the run itself asked to have again.
    pub asked_again: u64,
    /// The longest time from a fault to progress.
    pub recovery: Duration,
    /// What a reader of the table should know.
    pub notes: Vec<String>,
}

/// A run.
pub(crate) struct Trial<'a> {
    /// The cluster, which is there for other runs too.
    pub cluster: &'a Cluster,
    /// What all runs have in common.
    pub plan: &'a Plan,
    /// Topics and the group's offsets.
    pub admin: Admin,
    /// The names of this run's topics.
    pub topics: Topics,
    /// Its dead-letter topic.
    pub dead_letters: String,
    /// What it looks at from outside.
    pub watch: Watch,
    /// Its chance.
    pub rng: fastrand::Rng,
    /// What its faults came to so far.
    pub count: Count,
    /// The instances that should be at work. A fault that takes one out puts one in.
    pub instances: Vec<Instance>,
    /// Records that were written, once that is known.
    pub records: u64,
    /// What limits of time have on top, as this machine is slower than most.
    slower: Duration,
    settings: Settings,
    logs: Vec<PathBuf>,
    load: Option<Load>,
    dir: PathBuf,
}

impl<'a> Trial<'a> {
    /// Makes the topics. Nothing runs yet.
    pub(crate) fn prepare(
        cluster: &'a Cluster,
        plan: &'a Plan,
        name: &str,
        more: &[(&str, &str)],
    ) -> Result<Self, String> {
        let dir = plan.work.join(name);
        std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let admin = Admin::new(&cluster.servers())?;
        let topic = |role: &str| format!("{name}.{role}");
        let topics = Topics {
            input: (topic("in"), PARTITIONS),
            output: (topic("out"), PARTITIONS),
            group: format!("{name}.group"),
        };
        let dead_letters = topic("dlq");
        for (name, partitions) in
            [&topics.input, &topics.output, &(dead_letters.clone(), DEAD_LETTER_PARTITIONS)]
        {
            admin.create(name, *partitions, &[])?;
        }
        let seed = name.bytes().fold(plan.seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        Ok(Self {
            watch: Watch::start(&cluster.servers(), topics.clone())?,
            settings: settings(cluster, &topics, &dead_letters, plan.exactly_once, more),
            rng: fastrand::Rng::with_seed(seed),
            count: Count::default(),
            instances: Vec::new(),
            records: 0,
            slower: Duration::ZERO,
            logs: Vec::new(),
            load: None,
            cluster,
            plan,
            admin,
            topics,
            dead_letters,
            dir,
        })
    }

    /// Starts the first instances and the records, and waits until some of them are done: faults hit work in full swing.
    pub(crate) fn begin(&mut self, instances: usize) -> Result<(), String> {
        for _ in 0..instances {
            self.start_instance()?;
        }
        let (servers, log) = (self.cluster.servers(), self.dir.join("generate.log"));
        self.load = Some(Load::start(self.plan, &servers, &self.topics.input.0, log, self.rng.fork()));
        if instances > 0 { self.first_records() } else { Ok(()) }
    }

    /// Waits until some records are done.
    pub(crate) fn first_records(&mut self) -> Result<(), String> {
        let some = i64::try_from(self.plan.records / 50).unwrap_or(i64::MAX);
        let time = until(seconds(90), "the first records are written", || self.seen().written >= some)?;
        self.slower = (time.saturating_sub(USUAL_START) * 2).min(SLOWEST);
        Ok(())
    }

    /// How many dead letters there are.
    pub(crate) fn dead_letter_count(&self) -> Option<i64> {
        let client = watch::client(&self.cluster.servers(), &self.topics.group).ok()?;
        watch::ends(&client, &(self.dead_letters.clone(), DEAD_LETTER_PARTITIONS))
            .map(|ends| ends.iter().sum())
    }

    /// Starts one more instance.
    pub(crate) fn start_instance(&mut self) -> Result<(), String> {
        let instance = self.spawn(&[])?;
        self.instances.push(instance);
        Ok(())
    }

    /// Starts an instance with settings of its own, which the caller looks after.
    pub(crate) fn spawn(&mut self, more: &[(&str, &str)]) -> Result<Instance, String> {
        let log = self.dir.join(format!("instance-{}.log", self.logs.len()));
        let mut settings = self.settings.clone();
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let instance = Instance::spawn(&self.plan.program, &settings, log.clone())?;
        self.logs.push(log);
        Ok(instance)
    }

    /// How often a fault is made: as often as that in a long run.
    pub(crate) fn rounds(&self, times: u64) -> u64 {
        if self.plan.short { times.div_ceil(3) } else { times }
    }

    /// How long a fault lasts: that long in a long run.
    pub(crate) fn lasting(&self, time: Duration) -> Duration {
        if self.plan.short { time / 2 } else { time }
    }

    /// What can be seen from outside.
    pub(crate) fn seen(&self) -> Seen {
        self.watch.seen()
    }

    /// Waits until every partition with open records has moved on from where it is now.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub(crate) fn recovered(&mut self, limit: Duration, from: &str) -> Result<Duration, String> {
        let (looks, limit) = (self.seen().looks, limit + self.slower);
        // What is waited for beyond the limit is only to know by how much it was missed.
        let late = limit + seconds(60);
        // The look that is under way began before this moment; the one after it did not.
        until(late, &format!("the cluster answers after {from}"), || self.seen().looks >= looks + 2)?;
        // A cluster that is slow to come back, on a slow machine, is not the program's doing: the watch needs it as well.
        let (before, begin) = (self.seen(), Instant::now());
        until(late, &format!("every partition moves on after {from}"), || self.seen().moved_since(&before))?;
        let time = begin.elapsed();
        self.count.recovery = self.count.recovery.max(time);
        if time > limit {
            return Err(format!(
                "recovery took {:.1} s, {} s are allowed: {from}",
                time.as_secs_f64(),
                limit.as_secs()
            ));
        }
        Ok(time)
    }

    /// Ends the load, and waits until everything it wrote is committed.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.records = self.load.as_mut().ok_or("no records were written")?.finish()?;
        let records = i64::try_from(self.records).unwrap_or(i64::MAX);
        let drained = while_it_moves(seconds(90), "everything is committed", || {
            let seen = self.seen();
            (seen.ends.iter().sum::<i64>() >= records && seen.lag() == 0, seen.committed)
        });
        drained.map_err(|e| format!("{e}; a lag of {} is left", self.seen().lag()))
    }

    /// Stops the instances that are left, all at once as a supervisor does. Each has to end well.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        let mut faults = Vec::new();
        for mut instance in std::mem::take(&mut self.instances) {
            if let Err(fault) = instance.stop(seconds(45)) {
                faults.push(fault);
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    /// How often an instance had to give partitions up, lost or revoked, by its own log. It has two consumers: two lines may be
    /// one event.
    pub(crate) fn given_up(&self) -> u64 {
        let gives =
            |line: &str| line.contains("kafka::group: lost ") || line.contains("kafka::group: revoked ");
        let says_so = |line: &str| gives(line) && line.contains(" partitions: ");
        let lines = |log: &PathBuf| {
            let text = std::fs::read(log).unwrap_or_default();
            String::from_utf8_lossy(&text).lines().filter(|line| says_so(line)).count() as u64
        };
        self.logs.iter().map(|log| lines(log).div_ceil(2)).sum()
    }

    /// Where its files are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A fault was made.
    pub(crate) fn made(&mut self) {
        self.count.faults += 1;
    }

    /// Lets things run for a while between two faults; a random time around `time`.
    pub(crate) fn breathe(&mut self, time: Duration) {
        let share = self.rng.f64().mul_add(0.8, 0.6);
        pass(self.lasting(time).mul_f64(share));
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        // Nobody writes into what is deleted.
        drop(self.load.take());
        // Only the disk would be missed; the cluster is wiped at the end.
        let _ = self.admin.delete(&[&self.topics.input.0, &self.topics.output.0, &self.dead_letters]);
    }
}

fn settings(
    cluster: &Cluster,
    topics: &Topics,
    dead_letters: &str,
    exactly_once: bool,
    more: &[(&str, &str)],
) -> Settings {
    let (servers, in_flight) = (cluster.proxied(), IN_FLIGHT.to_string());
    let (session, interval) = (SESSION.as_millis().to_string(), format!("{}ms", COMMIT_INTERVAL.as_millis()));
    let mut settings: Vec<(&str, &str)> = vec![
        ("KAFKA_SERVERS", &servers),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        ("KAFKA_SASL_MECHANISM", "PLAIN"),
        ("KAFKA_SASL_USERNAME", USER),
        ("KAFKA_SASL_PASSWORD", PASSWORD),
        ("KAFKA_GROUP_ID", &topics.group),
        ("KAFKA_CONSUMER_TOPICS", &topics.input.0),
        ("KAFKA_OUTPUT_TOPIC", &topics.output.0),
        ("KAFKA_DLQ_TOPIC", dead_letters),
        ("KAFKA_OFFSET_RESET", "earliest"),
        ("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", &session),
        ("KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS", "1000"),
        ("CONSUMERS_COUNT", "2"),
        ("PRODUCERS_COUNT", "2"),
        ("PROCESSOR_MAX_IN_FLIGHT", &in_flight),
        ("PROCESSOR_COMMIT_INTERVAL", &interval),
        ("PROCESSOR_HTTP_ADDR", "off"),
        ("PROCESSOR_LOG_FORMAT", "text"),
    ];
    if exactly_once {
        settings.extend([
            ("PROCESSOR_DELIVERY", "exactly-once"),
            ("PROCESSOR_COMMIT_INTERVAL", "100ms"),
            // What a killed instance leaves open ends before its partitions change hands.
            ("KAFKA_TRANSACTION_TIMEOUT_MS", "5000"),
        ]);
    }
    settings.extend(more);
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
