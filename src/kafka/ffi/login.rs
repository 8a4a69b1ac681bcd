//! New SASL credentials for a client that lives.

use std::ffi::CString;

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as rd;

/// From its next login on the client says these.
pub fn set_credentials<C: ClientContext>(client: &Client<C>, user: &str, password: &str) {
    let (Ok(user), Ok(password)) = (CString::new(user), CString::new(password)) else {
        return tracing::warn!("the new SASL password has a NUL character in it: it is not used");
    };
    // SAFETY: the client is alive; the texts are C strings, and are copied; the error is ours, and null where all is well.
    unsafe {
        let error = rd::rd_kafka_sasl_set_credentials(client.native_ptr(), user.as_ptr(), password.as_ptr());
        if !error.is_null() {
            rd::rd_kafka_error_destroy(error);
        }
    }
}
