//! Instructions of this process in user mode, where the kernel and the machine let them be counted (`perf_event_open`).
#![allow(unsafe_code)]

/// A counter that runs, for all threads that start after it.
pub(crate) struct Counter(i32);

#[cfg(target_arch = "x86_64")]
const PERF_EVENT_OPEN: Option<i64> = Some(298);
#[cfg(target_arch = "aarch64")]
const PERF_EVENT_OPEN: Option<i64> = Some(241);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PERF_EVENT_OPEN: Option<i64> = None;

/// The first fields of `struct perf_event_attr`; the kernel takes any size it knows.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample: u64,
    sample_kind: u64,
    read_format: u64,
    flags: u64,
    rest: [u64; 2],
}

const HARDWARE: u32 = 0;
const INSTRUCTIONS: u64 = 1;
const INHERIT: u64 = 1 << 1;
const WITHOUT_KERNEL: u64 = 1 << 5 | 1 << 6;

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
    fn read(file: i32, into: *mut u64, length: usize) -> isize;
}

impl Counter {
    /// Or why not.
    pub(crate) fn open() -> Result<Self, String> {
        let number = PERF_EVENT_OPEN.ok_or("not on this kind of machine")?;
        let attributes = Attributes {
            kind: HARDWARE,
            size: size_of::<Attributes>() as u32,
            config: INSTRUCTIONS,
            flags: INHERIT | WITHOUT_KERNEL,
            ..Attributes::default()
        };
        // SAFETY: the kernel reads the attributes during the call; this process, any core, no group, no flags.
        let file = unsafe { syscall(number, &raw const attributes, 0i32, -1i32, -1i32, 0u64) };
        if file < 0 { Err(std::io::Error::last_os_error().to_string()) } else { Ok(Self(file as i32)) }
    }

    /// Instructions so far.
    pub(crate) fn read(&self) -> u64 {
        let mut count = 0;
        // SAFETY: the file is ours, and a counter without a read format is eight bytes.
        let length = unsafe { read(self.0, &raw mut count, 8) };
        assert_eq!(length, 8, "the counter can be read");
        count
    }
}
