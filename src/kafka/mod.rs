//! All that knows librdkafka: the calls that the safe crate lacks or makes dear, what its errors mean, and what its
//! clients say about the cluster.

pub mod admin;
pub mod context;
pub mod credentials;
pub mod errors;
pub mod ffi;
pub mod link;
pub mod membership;
pub mod offsets;
pub mod properties;
pub mod reason;
pub mod topic_name;
