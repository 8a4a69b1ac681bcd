//! Puts values at the end of an answer.

/// An answer as it grows. In a flexible version lengths are varints, and each structure ends with its tagged fields: none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Writer {
    pub(crate) fn new(flexible: bool) -> Self {
        Self { bytes: Vec::new(), flexible }
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes as they are, without a length.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn i8(&mut self, value: i8) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn bool(&mut self, value: bool) -> &mut Self {
        self.i8(i8::from(value))
    }

    pub(crate) fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    fn unsigned_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn length(&mut self, length: Option<usize>, short: bool) {
        let known =
            |length: Option<usize>| length.map_or(-1, |n| i32::try_from(n).expect("an answer below 2 GiB"));
        match (self.flexible, short) {
            (true, _) => self.unsigned_varint(length.map_or(0, |n| n as u64 + 1)),
            (false, true) => {
                self.i16(i16::try_from(known(length)).expect("text below 32 KiB"));
            }
            (false, false) => {
                self.i32(known(length));
            }
        }
    }

    pub(crate) fn nullable_string(&mut self, text: Option<&str>) -> &mut Self {
        self.length(text.map(str::len), true);
        self.raw(text.unwrap_or_default().as_bytes())
    }

    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        self.nullable_string(Some(text))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(Some(bytes.len()), false);
        self.raw(bytes)
    }

    /// The length of bytes that follow by [`Writer::raw`].
    pub(crate) fn bytes_follow(&mut self, length: usize) -> &mut Self {
        self.length(Some(length), false);
        self
    }

    pub(crate) fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut item: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        let items = items.into_iter();
        self.length(Some(items.len()), false);
        for value in items {
            item(self, value);
        }
        self
    }

    /// The end of a structure: no tagged fields.
    pub(crate) fn tags(&mut self) -> &mut Self {
        if self.flexible {
            self.unsigned_varint(0);
        }
        self
    }
}
