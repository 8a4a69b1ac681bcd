//! Takes values off the front of a request.

use super::Malformed;

type Read<T> = Result<T, Malformed>;

/// What is left of a request. In a flexible version lengths are varints, and tagged fields may follow.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, flexible: false }
    }

    /// What follows is in a flexible version, or is not.
    pub(crate) fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(count).ok_or(Malformed("it ends in the middle"))?;
        self.rest = rest;
        Ok(front)
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (front, rest) = self.rest.split_first_chunk().ok_or(Malformed("it ends in the middle"))?;
        self.rest = rest;
        Ok(*front)
    }

    pub(crate) fn i8(&mut self) -> Read<i8> {
        self.fixed().map(i8::from_be_bytes)
    }

    pub(crate) fn bool(&mut self) -> Read<bool> {
        self.i8().map(|byte| byte != 0)
    }

    pub(crate) fn i16(&mut self) -> Read<i16> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Read<i32> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Read<i64> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub(crate) fn unsigned_varint(&mut self) -> Read<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.i8()? as u8;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a varint without an end"))
    }

    /// Zig-zag, as inside record batches.
    pub(crate) fn varint(&mut self) -> Read<i64> {
        self.unsigned_varint().map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A length; `None` for null. `short`: of a string, which has two bytes for it.
    fn length(&mut self, short: bool) -> Read<Option<usize>> {
        if self.flexible {
            return Ok(self.unsigned_varint()?.checked_sub(1).and_then(|n| usize::try_from(n).ok()));
        }
        let length = if short { i32::from(self.i16()?) } else { self.i32()? };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed("a negative length")),
        }
    }

    pub(crate) fn nullable_string(&mut self) -> Read<Option<String>> {
        let Some(length) = self.length(true)? else { return Ok(None) };
        let text =
            std::str::from_utf8(self.take(length)?).map_err(|_| Malformed("text that is not UTF-8"))?;
        Ok(Some(text.to_owned()))
    }

    pub(crate) fn string(&mut self) -> Read<String> {
        self.nullable_string()?.ok_or(Malformed("null where there must be text"))
    }

    pub(crate) fn nullable_bytes(&mut self) -> Read<Option<&'a [u8]>> {
        let Some(length) = self.length(false)? else { return Ok(None) };
        self.take(length).map(Some)
    }

    pub(crate) fn bytes(&mut self) -> Read<&'a [u8]> {
        Ok(self.nullable_bytes()?.unwrap_or_default())
    }

    pub(crate) fn nullable_array<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Read<T>,
    ) -> Read<Option<Vec<T>>> {
        let Some(count) = self.length(false)? else { return Ok(None) };
        // Every item has a byte at least: a count beyond that is a lie, and would be a large allocation.
        if count > self.rest.len() {
            return Err(Malformed("more items than bytes"));
        }
        (0..count).map(|_| item(self)).collect::<Read<_>>().map(Some)
    }

    pub(crate) fn array<T>(&mut self, item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        Ok(self.nullable_array(item)?.unwrap_or_default())
    }

    /// Skips tagged fields, where the version has them.
    pub(crate) fn tags(&mut self) -> Read<()> {
        if self.flexible {
            for _ in 0..self.unsigned_varint()? {
                self.unsigned_varint()?;
                let length = usize::try_from(self.unsigned_varint()?).map_err(|_| Malformed("a huge tag"))?;
                self.take(length)?;
            }
        }
        Ok(())
    }
}
