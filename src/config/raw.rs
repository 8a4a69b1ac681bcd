//! The settings as text, read by envy: what the user said, before anything is checked.

use serde::Deserialize;

use super::given::Given;

/// One field a setting of the table, librdkafka's properties excepted; `None` is unset or empty.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Raw {
    pub kafka_servers: Option<String>,
    pub kafka_group_id: Option<String>,
    pub kafka_consumer_topics: Option<String>,
    pub kafka_consumer_topic: Option<String>,
    pub kafka_offset_reset: Option<String>,
    pub kafka_auto_offset_store: Option<String>,
    pub worker_pool: Option<String>,
    pub tasks_pick_up: Option<String>,
    pub consumers_count: Option<String>,
    pub producers_count: Option<String>,
    pub processor_order: Option<String>,
    pub processor_delivery: Option<String>,
    pub processor_instance: Option<String>,
    pub processor_partitioning: Option<String>,
    pub processor_source_header: Option<String>,
    pub kafka_dlq_topic: Option<String>,
    pub processor_on_failure: Option<String>,
    pub processor_after_failure: Option<String>,
    pub processor_retry_attempts: Option<String>,
    pub processor_retry_backoff: Option<String>,
    pub processor_retry_backoff_max: Option<String>,
    pub processor_max_in_flight: Option<String>,
    pub processor_max_in_flight_bytes: Option<String>,
    pub processor_commit_interval: Option<String>,
    pub processor_drain_timeout: Option<String>,
    pub processor_http_addr: Option<String>,
    pub processor_log_format: Option<String>,
    pub rust_log: Option<String>,
    pub processor_strict_config: Option<String>,
}

impl Raw {
    /// Lets envy fill the fields from the values that won, under their proper names.
    pub(super) fn read(given: &Given) -> Self {
        let variables = given.settings().map(|(name, value)| (name.to_owned(), value.text.clone()));
        envy::from_iter(variables).unwrap_or_else(|error| panic!("envy refused optional text: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Kind, SETTINGS};
    use super::*;

    #[test]
    fn there_is_a_field_for_each_setting_and_no_other() {
        let raw = serde_json::to_value(Raw::default()).unwrap();
        let mut fields: Vec<String> = raw.as_object().unwrap().keys().map(|k| k.to_uppercase()).collect();
        fields.sort_unstable();
        let mut names: Vec<&str> =
            SETTINGS.iter().filter(|s| !matches!(s.kind, Kind::Property(_))).map(|s| s.name).collect();
        names.sort_unstable();
        assert_eq!(fields, names);
    }
}
