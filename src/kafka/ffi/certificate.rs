//! What it is about a broker's certificate that is not accepted. librdkafka says only that it is not; OpenSSL knows more, and tells
//! a callback that the safe crate has no place for.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka_sys as rd;

use crate::sync::Mutex;

/// How long the client serves its callbacks at a time.
const TICK: c_int = 20;

/// Connects a client of its own as `config` says, and tells why a broker's certificate is not accepted; `None` where it is, or
/// where nothing is known within `wait`.
pub fn refusal(config: &ClientConfig, wait: Duration) -> Option<String> {
    let until = Instant::now() + wait;
    let client = Inquiry::start(config)?;
    while client.found().is_none() && Instant::now() < until {
        // SAFETY: the client is alive.
        unsafe { rd::rd_kafka_poll(client.raw, TICK) };
    }
    client.found()
}

struct Inquiry {
    raw: *mut rd::rd_kafka_t,
    /// Where the callback writes, on threads of the client, which end before this does.
    verdict: Box<Mutex<Option<String>>>,
}

impl Inquiry {
    fn start(config: &ClientConfig) -> Option<Self> {
        let native = config.create_native_config().ok()?;
        let verdict = Box::new(Mutex::new(None));
        // SAFETY: the configuration is alive and copied; the client takes the copy, or, if it cannot be made, leaves it to us.
        // `verdict` outlives the client, whose destruction waits for its threads. No text of the error is asked for.
        let raw = unsafe {
            let copy = rd::rd_kafka_conf_dup(native.ptr());
            rd::rd_kafka_conf_set_opaque(copy, ptr::from_ref(&*verdict).cast_mut().cast());
            rd::rd_kafka_conf_set_ssl_cert_verify_cb(copy, Some(judge));
            let raw = rd::rd_kafka_new(rd::rd_kafka_type_t::RD_KAFKA_PRODUCER, copy, ptr::null_mut(), 0);
            if raw.is_null() {
                rd::rd_kafka_conf_destroy(copy);
            }
            raw
        };
        (!raw.is_null()).then_some(Self { raw, verdict })
    }

    fn found(&self) -> Option<String> {
        self.verdict.lock().clone()
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        // SAFETY: ours, and used no more.
        unsafe { rd::rd_kafka_destroy(self.raw) }
    }
}

/// Accepts what OpenSSL accepts, and notes the first thing that it does not.
#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn judge(
    _client: *mut rd::rd_kafka_t,
    _broker: *const c_char,
    _id: i32,
    error: *mut c_int,
    depth: c_int,
    _certificate: *const c_char,
    _size: usize,
    _text: *mut c_char,
    _room: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka gives a valid place.
    let error = unsafe { *error };
    if error == 0 {
        return 1;
    }
    // SAFETY: the opaque is `Inquiry::verdict`, which outlives the client.
    let verdict = unsafe { &*opaque.cast::<Mutex<Option<String>>>() };
    verdict.lock().get_or_insert_with(|| words(error, depth));
    0
}

/// OpenSSL's numbers (`X509_V_ERR_…`), at a depth of 0 for the broker's own certificate.
fn words(error: c_int, depth: c_int) -> String {
    let what = match error {
        9 => "it is not valid yet",
        10 => "it has expired",
        18 => "it is signed by itself, and no authority that we know",
        19..=21 => return "it is signed by an authority that we do not know".to_owned(),
        23 => "it is revoked",
        62 => "it is for another host name",
        64 => "it is for another IP address",
        _ => return format!("OpenSSL's verification error {error} at depth {depth}"),
    };
    let whose = if depth == 0 { "" } else { ", which is said of an authority in its chain" };
    format!("{what}{whose}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_whose_certificate_it_is() {
        assert_eq!(words(10, 0), "it has expired");
        assert_eq!(words(10, 1), "it has expired, which is said of an authority in its chain");
        assert_eq!(words(26, 0), "OpenSSL's verification error 26 at depth 0");
    }
}
