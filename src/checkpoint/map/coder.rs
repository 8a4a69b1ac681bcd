//! A binary range coder with adaptive probabilities: what is likely costs a fraction of a bit. Own code because it is small,
//! and because its size has to be known exactly while it is written.

/// How likely a bit is to be one, learnt from those before it (the Krichevsky-Trofimov estimate).
#[derive(Clone, Copy, Default)]
pub(super) struct Bit {
    zeros: u16,
    ones: u16,
}

impl Bit {
    /// The chance of a one in 65,536ths, never certain.
    fn chance(self) -> u32 {
        let (zeros, ones) = (u64::from(self.zeros), u64::from(self.ones));
        let chance = ((2 * ones + 1) << 16) / (2 * (zeros + ones) + 2);
        u32::try_from(chance).unwrap_or(u32::MAX).clamp(32, (1 << 16) - 32)
    }

    fn learn(&mut self, bit: bool) {
        let count = if bit { &mut self.ones } else { &mut self.zeros };
        *count = count.saturating_add(1);
    }
}

/// The interval that stands for everything coded so far; its leading bytes that cannot change any more are out.
#[derive(Clone, Copy)]
struct Interval {
    low: u32,
    high: u32,
}

impl Interval {
    const ALL: Self = Self { low: 0, high: u32::MAX };

    fn split(self, chance: u32) -> u32 {
        let width = u64::from(self.high - self.low);
        let middle = self.low + u32::try_from((width * u64::from(chance)) >> 16).unwrap_or(u32::MAX);
        assert!(self.low <= middle && middle < self.high, "each bit has a part of the interval");
        middle
    }

    fn narrow(&mut self, bit: bool, middle: u32) {
        if bit { self.high = middle } else { self.low = middle + 1 }
    }

    /// Whether the leading byte is settled; if so it is taken off.
    fn settled(&mut self) -> Option<u8> {
        if (self.low ^ self.high) >> 24 != 0 {
            return None;
        }
        let byte = self.high.to_be_bytes()[0];
        (self.low, self.high) = (self.low << 8, (self.high << 8) | 0xff);
        Some(byte)
    }
}

/// Writes bits.
#[derive(Clone)]
pub(super) struct Encoder {
    interval: Interval,
    out: Vec<u8>,
}

/// Where an encoder stood, to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    interval: Interval,
    length: usize,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { interval: Interval::ALL, out: Vec::new() }
    }

    pub(super) fn put(&mut self, bit: bool, model: &mut Bit) {
        let middle = self.interval.split(model.chance());
        self.interval.narrow(bit, middle);
        model.learn(bit);
        while let Some(byte) = self.interval.settled() {
            self.out.push(byte);
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { interval: self.interval, length: self.out.len() }
    }

    /// Forgets what was put since `mark`. (What the models learnt since is not forgotten: nothing may be put after this.)
    pub(super) fn back_to(&mut self, mark: Mark) {
        assert!(mark.length <= self.out.len(), "the encoder stood at {} once", mark.length);
        self.interval = mark.interval;
        self.out.truncate(mark.length);
    }

    /// The exact size that [`Encoder::finish`] would give now.
    pub(super) fn size(&self) -> usize {
        self.out.len() + usize::from(self.interval.low != 0)
    }

    /// The bytes. The decoder reads zeros behind the end, so that one byte inside the interval is enough.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let size = self.size();
        if self.interval.low != 0 {
            // The first byte of `high` with zeros behind it is above `low`, as their first bytes differ.
            self.out.push(self.interval.high.to_be_bytes()[0]);
        }
        assert!(self.out.len() == size, "{} bytes, and {size} were foretold", self.out.len());
        while self.out.last() == Some(&0) {
            self.out.pop();
        }
        self.out
    }
}

/// Reads what an [`Encoder`] wrote, with models in the same state.
pub(super) struct Decoder<'a> {
    interval: Interval,
    code: u32,
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { interval: Interval::ALL, code: 0, rest: bytes };
        for _ in 0..4 {
            decoder.shift();
        }
        decoder
    }

    pub(super) fn get(&mut self, model: &mut Bit) -> bool {
        let middle = self.interval.split(model.chance());
        assert!(
            self.interval.low <= self.code && self.code <= self.interval.high,
            "the code is in its interval"
        );
        let bit = self.code <= middle;
        self.interval.narrow(bit, middle);
        model.learn(bit);
        while self.interval.settled().is_some() {
            self.shift();
        }
        bit
    }

    fn shift(&mut self) {
        let (first, rest) = self.rest.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
        self.rest = rest;
        self.code = (self.code << 8) | u32::from(first);
    }
}
