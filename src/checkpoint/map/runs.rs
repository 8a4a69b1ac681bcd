//! The finished ranges above a watermark as bytes: as a bitset, or as the lengths of runs, each with an adaptive code.

use std::ops::Range;

use super::coder::{Bit, Decoder, Encoder};

/// How the ranges are written. The number is in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// A bit an offset.
    Bitset,
    /// Lengths of runs, each foretold by so many runs before it: none is best for what looks like chance, more for patterns.
    Runs(u8),
}

impl Method {
    pub(super) const ALL: [Self; 4] = [Self::Bitset, Self::Runs(0), Self::Runs(2), Self::Runs(4)];

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Bitset => 0,
            Self::Runs(order) => 1 + order,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.number() == number)
    }

    /// As many of `ranges` as fit into `limit` bytes, from the first on: the bytes, and where the last one that is in ends.
    pub(super) fn write(self, base: i64, ranges: &[Range<i64>], limit: usize) -> (Vec<u8>, i64) {
        match self {
            Self::Bitset => write_bits(base, ranges, limit),
            Self::Runs(order) => write_runs(order, base, ranges, limit),
        }
    }

    /// The ranges, or `None` if these bytes are not what [`Method::write`] makes.
    pub(super) fn read(self, base: i64, bytes: &[u8]) -> Option<Vec<Range<i64>>> {
        match self {
            Self::Bitset => read_bits(base, bytes),
            Self::Runs(order) => read_runs(order, base, bytes),
        }
    }
}

fn write_bits(base: i64, ranges: &[Range<i64>], limit: usize) -> (Vec<u8>, i64) {
    let mut bytes = Vec::new();
    let mut covered = base;
    for range in ranges {
        let room = base.saturating_add(i64::try_from(limit * 8).unwrap_or(i64::MAX));
        if range.start >= room {
            break;
        }
        covered = range.end.min(room);
        for offset in range.start..covered {
            let place = (offset - base) as usize;
            if bytes.len() <= place / 8 {
                bytes.resize(place / 8 + 1, 0);
            }
            bytes[place / 8] |= 1 << (place % 8);
        }
    }
    assert!(bytes.len() <= limit, "{} bytes of bits, and {limit} are free", bytes.len());
    (bytes, covered)
}

fn read_bits(base: i64, bytes: &[u8]) -> Option<Vec<Range<i64>>> {
    let mut ranges: Vec<Range<i64>> = Vec::new();
    base.checked_add(i64::try_from(bytes.len() * 8).ok()?)?;
    let set = (0..bytes.len() * 8).filter(|place| bytes[place / 8] >> (place % 8) & 1 == 1);
    for offset in set.map(|place| base + place as i64) {
        match ranges.last_mut() {
            Some(last) if last.end == offset => last.end += 1,
            _ => ranges.push(offset..offset + 1),
        }
    }
    Some(ranges)
}

/// No map has more ranges: a bound for whoever reads one that somebody made to hurt.
const MOST: usize = 1 << 16;
/// A run is shorter than two to the power of this.
const LONGEST: u32 = 48;
/// The bit that says "no more" costs at most so many bytes.
const END: usize = 2;

fn write_runs(order: u8, base: i64, ranges: &[Range<i64>], limit: usize) -> (Vec<u8>, i64) {
    let mut coder = Encoder::new();
    let mut model = Model::new(order);
    let mut more = Bit::default();
    let mut covered = base;
    for range in ranges.iter().take(MOST) {
        let (mark, end) = (coder.mark(), more);
        // The first record may be finished: its gap is none, and a length is at least one.
        let open = range.start - covered + i64::from(covered == base);
        let done = range.end - range.start;
        assert!(open > 0 && done > 0, "{range:?} does not come behind {covered}: a run has a length");
        if open >> LONGEST != 0 || done >> LONGEST != 0 {
            break;
        }
        coder.put(true, &mut more);
        for run in [open, done] {
            model.code(run.unsigned_abs(), &mut |bit, bits| coder.put(bit, bits));
        }
        if coder.size() + END > limit {
            coder.back_to(mark);
            more = end;
            break;
        }
        covered = range.end;
    }
    coder.put(false, &mut more);
    let bytes = coder.finish();
    assert!(covered == base || bytes.len() <= limit, "{} bytes of runs, and {limit} are free", bytes.len());
    (bytes, covered)
}

fn read_runs(order: u8, base: i64, bytes: &[u8]) -> Option<Vec<Range<i64>>> {
    let mut coder = Decoder::new(bytes);
    let mut model = Model::new(order);
    let mut more = Bit::default();
    let mut ranges: Vec<Range<i64>> = Vec::new();
    let mut covered = base;
    while coder.get(&mut more) {
        if ranges.len() == MOST {
            return None;
        }
        let mut run = || i64::try_from(model.decode(&mut |bits| coder.get(bits))?).ok();
        let open = run()? - i64::from(covered == base);
        let start = covered.checked_add(open)?;
        covered = start.checked_add(run()?)?;
        ranges.push(start..covered);
    }
    Some(ranges)
}

/// Foretells the length of a run from those before it. A length is written as the number of its bits and then those bits.
struct Model {
    order: usize,
    bits: Vec<Bit>,
    /// The last runs, the newest first, each cut to a byte.
    before: [u8; 4],
    /// Whether the next run is one of finished records.
    done: bool,
}

impl Model {
    const TABLE: u32 = 16;

    fn new(order: u8) -> Self {
        Self {
            order: usize::from(order).min(4),
            bits: vec![Bit::default(); 1 << Self::TABLE],
            before: [0; 4],
            done: false,
        }
    }

    fn place(&self, node: u32) -> usize {
        let mut seen = [0; 4];
        seen[..self.order].copy_from_slice(&self.before[..self.order]);
        let context = (u64::from(u32::from_le_bytes(seen)) << 1) | u64::from(self.done);
        let mixed = (context << 12 | u64::from(node)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (64 - Self::TABLE)) as usize
    }

    /// The bit's model: bits near the top of a number depend on each other, the lower ones on their place.
    fn lower(&mut self, length: u32, place: u32, prefix: u64) -> &mut Bit {
        let node = if length - place <= 3 {
            64 + length * 8 + u32::try_from(prefix & 7).unwrap_or(0)
        } else {
            1024 + length * 48 + place
        };
        let place = self.place(node);
        &mut self.bits[place]
    }

    fn length(&mut self, at: u32) -> &mut Bit {
        let place = self.place(at);
        &mut self.bits[place]
    }

    fn code(&mut self, run: u64, put: &mut impl FnMut(bool, &mut Bit)) {
        assert!(run > 0 && run >> LONGEST == 0, "a run of {run} has no code");
        let length = run.ilog2();
        for at in 0..length {
            put(true, self.length(at));
        }
        put(false, self.length(length));
        for place in (0..length).rev() {
            put(run >> place & 1 == 1, self.lower(length, place, run >> (place + 1)));
        }
        self.seen(run);
    }

    fn decode(&mut self, get: &mut impl FnMut(&mut Bit) -> bool) -> Option<u64> {
        let mut length = 0;
        while get(self.length(length)) {
            length += 1;
            if length >= LONGEST {
                return None;
            }
        }
        let mut run = 1;
        for place in (0..length).rev() {
            run = run << 1 | u64::from(get(self.lower(length, place, run)));
        }
        self.seen(run);
        Some(run)
    }

    fn seen(&mut self, run: u64) {
        self.before.rotate_right(1);
        self.before[0] = u8::try_from(run).unwrap_or(u8::MAX);
        self.done = !self.done;
    }
}
