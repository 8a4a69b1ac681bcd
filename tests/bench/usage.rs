//! What a process used, as the kernel counted it: CPU time, peak memory, context switches.
#![allow(unsafe_code, dead_code)] // Each program uses a part of it.

use serde_json::{Value, json};

/// `struct rusage` of Linux on 64 bits: two times, then fourteen numbers.
#[repr(C)]
#[derive(Default)]
struct Rusage {
    user: [i64; 2],
    system: [i64; 2],
    numbers: [i64; 14],
}

const PEAK_KIB: usize = 0;
const VOLUNTARY: usize = 12;
const INVOLUNTARY: usize = 13;

unsafe extern "C" {
    fn getrusage(who: i32, usage: *mut Rusage) -> i32;
}

fn read() -> Rusage {
    let mut usage = Rusage::default();
    // SAFETY: 0 is RUSAGE_SELF, and the struct is as large as the kernel's.
    let code = unsafe { getrusage(0, &raw mut usage) };
    assert_eq!(code, 0, "getrusage of one's own process cannot fail");
    usage
}

fn seconds([seconds, micros]: [i64; 2]) -> f64 {
    seconds as f64 + micros as f64 / 1e6
}

/// User and system time of this process, all its threads, seconds.
pub(crate) fn cpu_seconds() -> f64 {
    let usage = read();
    seconds(usage.user) + seconds(usage.system)
}

/// Everything, for the one line that a program prints at its end.
pub(crate) fn all() -> Value {
    let usage = read();
    json!({
        "cpu_s": seconds(usage.user) + seconds(usage.system),
        "user_s": seconds(usage.user),
        "system_s": seconds(usage.system),
        "peak_kib": usage.numbers[PEAK_KIB],
        "voluntary_switches": usage.numbers[VOLUNTARY],
        "involuntary_switches": usage.numbers[INVOLUNTARY],
    })
}
