//! The protocol's primitive types, written and read: big endian, lengths first; compact ones with a varint.

/// What is written after a request's header.
#[derive(Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The bytes so far.
    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }

    fn put(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn bool(self, value: bool) -> Self {
        self.i8(i8::from(value))
    }

    pub(crate) fn i8(self, value: i8) -> Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn i16(self, value: i16) -> Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn i32(self, value: i32) -> Self {
        self.put(&value.to_be_bytes())
    }

    pub(crate) fn i64(self, value: i64) -> Self {
        self.put(&value.to_be_bytes())
    }

    /// A length of 4 bytes.
    pub(crate) fn count(self, count: usize) -> Self {
        self.i32(i32::try_from(count).expect("a length"))
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.i16(i16::try_from(text.len()).expect("a length")).put(text.as_bytes())
    }

    pub(crate) fn text_or_null(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => self.i16(-1),
        }
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.count(bytes.len()).put(bytes)
    }

    pub(crate) fn list<T>(self, items: &[T], each: impl Fn(Self, &T) -> Self) -> Self {
        items.iter().fold(self.count(items.len()), each)
    }

    pub(crate) fn compact_text(self, text: &str) -> Self {
        self.compact_count(text.len()).put(text.as_bytes())
    }

    pub(crate) fn compact_text_or_null(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.compact_text(text),
            None => self.i8(0),
        }
    }

    pub(crate) fn compact_list<T>(self, items: &[T], each: impl Fn(Self, &T) -> Self) -> Self {
        items.iter().fold(self.compact_count(items.len()), each)
    }

    /// No tagged fields.
    pub(crate) fn tags(self) -> Self {
        self.i8(0)
    }

    /// Length + 1: zero means null.
    fn compact_count(mut self, count: usize) -> Self {
        let mut rest = count + 1;
        while rest > 0x7f {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }
}

/// What a broker answered. Reading past its end fails the test.
#[derive(Debug)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// Fails the test when something is left over.
    pub(crate) fn end(&self, what: &str) {
        assert_eq!(self.at, self.bytes.len(), "{what}: the answer has fields that its version does not have");
    }

    pub(crate) fn take(&mut self, count: usize) -> &[u8] {
        let from = self.at;
        self.at += count;
        assert!(self.at <= self.bytes.len(), "the answer ends within a field, at byte {}", self.bytes.len());
        &self.bytes[from..self.at]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("the length asked for")
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.i8() != 0
    }

    pub(crate) fn i8(&mut self) -> i8 {
        i8::from_be_bytes(self.array())
    }

    pub(crate) fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.array())
    }

    pub(crate) fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.array())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }

    /// `None` is null.
    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.i16()).ok()?;
        Some(String::from_utf8(self.take(length).to_vec()).expect("text is UTF-8"))
    }

    /// Text that is not null.
    pub(crate) fn some_text(&mut self) -> String {
        self.text().expect("text")
    }

    /// Null is empty.
    pub(crate) fn blob(&mut self) -> Vec<u8> {
        usize::try_from(self.i32()).map_or_else(|_| Vec::new(), |length| self.take(length).to_vec())
    }

    /// Null is empty.
    pub(crate) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.i32()).map(|_| each(self)).collect()
    }

    pub(crate) fn compact_text(&mut self) -> Option<String> {
        let length = usize::try_from(self.varint()).expect("a length").checked_sub(1)?;
        Some(String::from_utf8(self.take(length).to_vec()).expect("text is UTF-8"))
    }

    pub(crate) fn compact_list<T>(&mut self, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (1..self.varint()).map(|_| each(self)).collect()
    }

    /// Tagged fields are read over: a broker may add some.
    pub(crate) fn tags(&mut self) {
        for _ in 0..self.varint() {
            self.varint();
            let length = usize::try_from(self.varint()).expect("a length");
            self.take(length);
        }
    }

    /// Unsigned, as lengths of the compact types are.
    pub(crate) fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = u64::from(self.array::<1>()[0]);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }

    /// Signed, as the fields of a record are.
    pub(crate) fn zigzag(&mut self) -> i64 {
        let value = self.varint();
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }
}
