//! Record batches (format 2, uncompressed) as a producer writes them and a consumer finds them.

use super::bytes::Answer;
use crate::support::record::now_ms;

/// The batch belongs to a transaction.
const TRANSACTIONAL: i16 = 0x10;
/// The batch is a marker: a commit or an abort.
const CONTROL: i16 = 0x20;
/// Where the part begins that the checksum covers: the attributes.
pub(crate) const CHECKED_FROM: usize = 21;

/// A batch to be written.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    values: Vec<Vec<u8>>,
    timestamps: Vec<i64>,
    attributes: i16,
    producer: (i64, i16, i32),
}

impl Batch {
    /// These values, without keys, made now, from nobody in particular.
    pub(crate) fn of<T: AsRef<[u8]>>(values: &[T]) -> Self {
        let values: Vec<_> = values.iter().map(|v| v.as_ref().to_vec()).collect();
        Self { timestamps: vec![now_ms(); values.len()], values, attributes: 0, producer: (-1, -1, -1) }
    }

    /// So many records of one byte.
    pub(crate) fn sized(count: usize) -> Self {
        Self::of(&vec![b"x"; count])
    }

    /// When each record was made.
    pub(crate) fn at(mut self, timestamps: &[i64]) -> Self {
        self.timestamps = timestamps.to_vec();
        self
    }

    /// From an idempotent producer: its id, its epoch, and the first record's number.
    pub(crate) fn by(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        self.producer = (id, epoch, sequence);
        self
    }

    /// Within a transaction.
    pub(crate) fn transactional(mut self) -> Self {
        self.attributes |= TRANSACTIONAL;
        self
    }

    /// As only brokers may write it.
    pub(crate) fn control(mut self) -> Self {
        self.attributes |= CONTROL;
        self
    }

    /// As it travels, with a checksum that is right.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let count = i32::try_from(self.values.len()).expect("few records");
        let mut checked = Vec::new();
        checked.extend(self.attributes.to_be_bytes());
        checked.extend((count - 1).to_be_bytes());
        checked.extend(self.timestamps[0].to_be_bytes());
        checked.extend(self.timestamps.iter().max().expect("a record").to_be_bytes());
        checked.extend(self.producer.0.to_be_bytes());
        checked.extend(self.producer.1.to_be_bytes());
        checked.extend(self.producer.2.to_be_bytes());
        checked.extend(count.to_be_bytes());
        for (delta, (value, timestamp)) in self.values.iter().zip(&self.timestamps).enumerate() {
            record(&mut checked, delta as i64, timestamp - self.timestamps[0], value);
        }
        let mut batch = Vec::new();
        batch.extend(0_i64.to_be_bytes());
        batch.extend(i32::try_from(checked.len() + 9).expect("a small batch").to_be_bytes());
        batch.extend((-1_i32).to_be_bytes());
        batch.push(2);
        batch.extend(crc32c(&checked).to_be_bytes());
        batch.extend(checked);
        batch
    }
}

/// A key that is null, no headers.
fn record(into: &mut Vec<u8>, delta: i64, later: i64, value: &[u8]) {
    let mut body = vec![0];
    zigzag(&mut body, later);
    zigzag(&mut body, delta);
    zigzag(&mut body, -1);
    zigzag(&mut body, value.len() as i64);
    body.extend_from_slice(value);
    zigzag(&mut body, 0);
    zigzag(into, body.len() as i64);
    into.extend(body);
}

fn zigzag(into: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest > 0x7f {
        into.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// CRC-32C, a bit at a time: test batches are small.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

/// A batch that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub base: i64,
    pub attributes: i16,
    pub producer: i64,
    pub epoch: i16,
    pub sequence: i32,
    pub records: Vec<Record>,
}

/// A record of a [`Stored`] batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

impl Stored {
    /// The whole batches of a fetch; what is cut off at the end is left out, as a consumer does. Checksums are checked.
    pub(crate) fn all(bytes: &[u8]) -> Vec<Self> {
        let (mut rest, mut all) = (bytes, Vec::new());
        while let Some(length) = rest.get(8..12) {
            let length = 12 + u32::from_be_bytes(length.try_into().expect("4 bytes")) as usize;
            let Some(batch) = rest.get(..length) else { break };
            all.push(Self::read(batch));
            rest = &rest[length..];
        }
        all
    }

    fn read(bytes: &[u8]) -> Self {
        let crc = u32::from_be_bytes(bytes[17..21].try_into().expect("4 bytes"));
        assert_eq!(crc, crc32c(&bytes[CHECKED_FROM..]), "a batch arrives as it was written");
        let base = i64::from_be_bytes(bytes[..8].try_into().expect("8 bytes"));
        let mut rest = Answer::new(bytes[CHECKED_FROM..].to_vec());
        let (attributes, _last) = (rest.i16(), rest.i32());
        let (first, newest) = (rest.i64(), rest.i64());
        let (producer, epoch, sequence) = (rest.i64(), rest.i16(), rest.i32());
        let appended = attributes & 8 != 0;
        let records = rest.list(|r| Record::read(r, base, first));
        rest.end("a batch");
        let stamp = |r: Record| if appended { Record { timestamp: newest, ..r } } else { r };
        let records = records.into_iter().map(stamp).collect();
        Self { base, attributes, producer, epoch, sequence, records }
    }

    /// Whether it is a marker that ends a transaction: `Some(true)` commits.
    pub(crate) fn marker(&self) -> Option<bool> {
        let key = self.records.first()?.key.as_ref().filter(|_| self.attributes & CONTROL != 0)?;
        Some(key[3] == 1)
    }

    /// The values, as text.
    pub(crate) fn values(&self) -> Vec<String> {
        let text = |r: &Record| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned();
        self.records.iter().map(text).collect()
    }
}

impl Record {
    fn read(from: &mut Answer, base: i64, first: i64) -> Self {
        from.zigzag();
        from.i8();
        let timestamp = first + from.zigzag();
        let offset = base + from.zigzag();
        let (key, value) = (field(from), field(from));
        for _ in 0..from.zigzag() {
            field(from);
            field(from);
        }
        Self { offset, timestamp, key, value }
    }
}

fn field(from: &mut Answer) -> Option<Vec<u8>> {
    let length = usize::try_from(from.zigzag()).ok()?;
    Some(from.take(length).to_vec())
}
