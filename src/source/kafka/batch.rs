//! A batch of records as librdkafka handed it over, sorted into runs.

use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::error::RDKafkaErrorCode as Code;

use crate::kafka::context::TopicPartition;
use crate::kafka::ffi::Message;
use crate::record::Record;

/// A batch as it was taken: runs of records of one partition, and errors.
#[derive(Default)]
pub(super) struct Intook {
    pub(super) runs: Vec<(TopicPartition, Vec<Record>)>,
    pub(super) errors: Vec<(Code, String)>,
    last: Option<(usize, i32)>,
}

impl Intook {
    /// Errors first: an error's offset is not a record's.
    pub(super) fn see(&mut self, message: &Message<'_>, names: &mut HashMap<usize, Arc<str>>) {
        if let Some(error) = message.error() {
            self.errors.push(error);
            return;
        }
        let place = (message.topic_id(), message.partition());
        if self.last != Some(place) {
            let name = message.topic().unwrap_or_default();
            // A handle may be used again for another topic once the first is gone: the name decides.
            let topic = match names.get(&place.0).filter(|known| ***known == *name) {
                Some(known) => known.clone(),
                None => {
                    let topic: Arc<str> = Arc::from(name);
                    names.insert(place.0, topic.clone());
                    topic
                }
            };
            self.runs.push(((topic, place.1), Vec::new()));
            self.last = Some(place);
        }
        if let Some(((topic, partition), records)) = self.runs.last_mut() {
            records.push(Record::new(topic.clone(), *partition, message.offset(), message.parts()));
        }
    }
}
