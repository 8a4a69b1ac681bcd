//! What a handler does beside passing a record on: nothing, wait as for an answer from elsewhere, or compute.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::time::Duration;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing at all.
    Nothing,
    /// Sleeps so long.
    Wait(Duration),
    /// Uses so much CPU time of its thread; what the thread waits for a core is not counted.
    Compute(Duration),
}

impl Work {
    /// `wait:1ms`, `wait:100us`, `cpu:50us`; a time of 0 is nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, time) = text.split_once(':')?;
        let time = duration(time)?;
        match kind {
            _ if time.is_zero() => Some(Self::Nothing),
            "wait" => Some(Self::Wait(time)),
            "cpu" => Some(Self::Compute(time)),
            _ => None,
        }
    }

    /// Does it.
    pub(crate) fn run(self) {
        match self {
            Self::Nothing => {}
            Self::Wait(time) => wait(time),
            Self::Compute(time) => compute(time),
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number = digits.parse().ok()?;
    match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(number)),
        "us" => Some(Duration::from_micros(number)),
        "" if number == 0 => Some(Duration::ZERO),
        _ => None,
    }
}

/// The kernel wakes a sleeper up to 50 µs late, to save wake-ups. A network's answer is not delayed like that.
fn wait(time: Duration) {
    thread_local!(static PROMPT: Cell<bool> = const { Cell::new(false) });
    if !PROMPT.replace(true) {
        // SAFETY: 29 is PR_SET_TIMERSLACK; it concerns this thread only and takes a number.
        unsafe { prctl(29, 1, 0, 0, 0) };
    }
    std::thread::sleep(time);
}

fn compute(time: Duration) {
    let end = thread_cpu() + time;
    while thread_cpu() < end {
        for number in 0..400u64 {
            std::hint::black_box(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        }
    }
}

fn thread_cpu() -> Duration {
    let mut time = [0i64; 2];
    // SAFETY: 3 is CLOCK_THREAD_CPUTIME_ID, and a timespec is two numbers of 64 bits.
    unsafe { clock_gettime(3, time.as_mut_ptr()) };
    Duration::new(time[0] as u64, time[1] as u32)
}

unsafe extern "C" {
    fn prctl(option: i32, one: u64, two: u64, three: u64, four: u64) -> i32;
    fn clock_gettime(clock: i32, time: *mut i64) -> i32;
}
