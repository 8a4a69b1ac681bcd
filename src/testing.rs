//! For the tests of your transform: on one record, or the whole program on a broker in memory.
//!
//! ```
//! use processor::{Context, Outcome, Record, Transform, testing};
//!
//! struct Upper;
//!
//! impl Transform for Upper {
//!     fn apply(&self, record: &Record, _: &Context) -> Outcome {
//!         match record.value() {
//!             Some(value) => Outcome::value(value.to_ascii_uppercase()),
//!             None => Outcome::reject("tombstone", "the record has no value"),
//!         }
//!     }
//! }
//!
//! assert!(matches!(testing::apply(&Upper, &testing::record("key", "value")), Outcome::Emit(_)));
//!
//! let written = testing::run(Upper, [testing::record("key", "value")]);
//! assert_eq!(written.output[0].value(), Some(&b"VALUE"[..]));
//! assert!(written.dead_letters.is_empty());
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::record::{Parts, Record};
#[cfg(feature = "embedded-broker")]
use crate::transform::IntoHandler;
use crate::transform::{Context, Outcome, Transform};

/// A record with this key and value, of now.
pub fn record(key: &str, value: &str) -> Record {
    let parts = Parts {
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        timestamp: Some(now_ms()),
        ..Parts::default()
    };
    Record::new("input".into(), 0, 0, parts)
}

/// What the transform makes of a record at its first attempt.
pub fn apply(transform: &impl Transform, record: &Record) -> Outcome {
    transform.apply(record, &Context { now_ms: now_ms(), attempt: 1 })
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What the program wrote, in the order of the topics.
#[cfg(feature = "embedded-broker")]
#[derive(Debug)]
#[non_exhaustive]
pub struct Written {
    /// Records of the output topic.
    pub output: Vec<Record>,
    /// Records of the dead-letter topic: why is in their headers.
    pub dead_letters: Vec<Record>,
}

/// Runs the whole program on a broker in memory, with one partition a topic: `records` go into the input topic with their keys, values,
/// headers and timestamps; when all are finished and committed the program is stopped.
///
/// # Panics
/// When it ends by itself or ends with anything but success, or takes longer than a minute.
#[cfg(feature = "embedded-broker")]
pub fn run<Kind: ?Sized>(
    transform: impl IntoHandler<Kind>,
    records: impl IntoIterator<Item = Record>,
) -> Written {
    broker::run(transform.into_handler(), &records.into_iter().collect::<Vec<_>>())
}

#[cfg(feature = "embedded-broker")]
mod broker {
    use std::thread;
    use std::time::{Duration, Instant};

    use rdkafka::config::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

    use super::Written;
    use crate::app::Exit;
    use crate::embed::Processor;
    use crate::embedded::{Broker, Options};
    use crate::record::{Headers, Parts, Record};
    use crate::transform::Handler;

    const INPUT: &str = "input";
    const OUTPUT: &str = "output";
    const DEAD_LETTERS: &str = "dead-letters";
    const GROUP: &str = "test";
    const PATIENCE: Duration = Duration::from_secs(60);
    const TICK: Duration = Duration::from_millis(20);

    pub(super) fn run(transform: Handler, records: &[Record]) -> Written {
        let broker = Broker::start(Options::default()).expect("a port of this machine is free");
        for topic in [INPUT, OUTPUT, DEAD_LETTERS] {
            assert!(broker.create_topic(topic, 1), "{topic} is new");
        }
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", broker.servers()).set("group.id", GROUP);
        write(&client, records);

        let settings = Processor::builder().servers(&broker.servers()).group(GROUP).input(INPUT);
        let settings = settings.output(OUTPUT).set("KAFKA_DLQ_TOPIC", DEAD_LETTERS);
        let settings =
            settings.set("KAFKA_OFFSET_RESET", "earliest").set("PROCESSOR_COMMIT_INTERVAL", "50ms");
        let processor = settings.transform(transform).build().unwrap_or_else(|error| panic!("{error}"));
        let stopper = processor.stopper();
        let running = thread::spawn(|| processor.run());

        let reader: BaseConsumer = client.create().expect("the properties are good");
        let (end, until) = (records.len() as i64, Instant::now() + PATIENCE);
        while committed(&reader) < end && !running.is_finished() {
            assert!(Instant::now() < until, "not all {end} records are finished after {PATIENCE:?}");
            thread::park_timeout(TICK);
        }
        stopper.stop();
        let ended = running.join().expect("it catches the panics of transforms");
        assert_eq!(ended.exit, Exit::Clean, "{}", ended.message);
        Written { output: read(&reader, OUTPUT), dead_letters: read(&reader, DEAD_LETTERS) }
    }

    fn write(client: &ClientConfig, records: &[Record]) {
        let producer: BaseProducer = client.create().expect("the properties are good");
        for record in records {
            let mut headers = OwnedHeaders::new();
            for (key, value) in record.headers().iter() {
                headers = headers.insert(Header { key: &String::from_utf8_lossy(key), value });
            }
            let mut one = BaseRecord::<[u8], [u8]>::to(INPUT).partition(0).headers(headers);
            (one.key, one.payload, one.timestamp) = (record.key(), record.value(), record.timestamp());
            producer.send(one).unwrap_or_else(|(error, _)| panic!("a record cannot be written: {error}"));
        }
        producer.flush(PATIENCE).expect("the broker answers");
    }

    fn committed(reader: &BaseConsumer) -> i64 {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(INPUT, 0);
        match reader
            .committed_offsets(asked, PATIENCE)
            .ok()
            .and_then(|found| Some(found.elements().first()?.offset()))
        {
            Some(Offset::Offset(offset)) => offset,
            _ => 0,
        }
    }

    /// All records of a topic, which nobody writes to any more.
    fn read(reader: &BaseConsumer, topic: &str) -> Vec<Record> {
        let (mut from, end) = reader.fetch_watermarks(topic, 0, PATIENCE).expect("the broker answers");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).expect("a valid offset");
        reader.assign(&list).expect("the partition exists");
        let (mut all, until) = (Vec::new(), Instant::now() + PATIENCE);
        while from < end {
            assert!(Instant::now() < until, "{topic} cannot be read to its end");
            let Some(Ok(message)) = reader.poll(TICK) else { continue };
            let mut headers = Headers::new();
            if let Some(found) = message.headers() {
                found.iter().for_each(|header| headers.push(header.key.as_bytes(), header.value));
            }
            let parts = Parts {
                key: message.key(),
                value: message.payload(),
                timestamp: message.timestamp().to_millis(),
                headers,
            };
            all.push(Record::new(topic.into(), 0, message.offset(), parts));
            from = message.offset() + 1;
        }
        all
    }

    #[cfg(all(test, not(feature = "shuttle")))]
    mod tests {
        use crate::testing::{record, run};
        use crate::transform::builtin::Validate;

        #[test]
        fn what_is_written_and_what_failed_can_be_looked_at() {
            let good = |id: u32| {
                let now = jiff::Timestamp::now();
                format!(r#"{{"id":"{id}","timestamp":"{now}","data":"more than ten characters"}}"#)
            };
            let written =
                run(Validate, [record("a", &good(1)), record("b", "not JSON"), record("a", &good(2))]);
            let values: Vec<_> =
                written.output.iter().filter_map(|one| std::str::from_utf8(one.value()?).ok()).collect();
            assert_eq!(values.len(), 2);
            assert!(values[0].contains(r#""id":"1""#) && values[1].contains(r#""id":"2""#), "{values:?}");
            let [letter] = &written.dead_letters[..] else { panic!("{written:?}") };
            assert_eq!((letter.key(), letter.value()), (Some(&b"b"[..]), Some(&b"not JSON"[..])));
            assert_eq!(letter.headers().last("processor.dlq.reason"), Some(&b"invalid_json"[..]));
        }
    }
}
