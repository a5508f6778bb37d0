//! The encoding of protocol buffers, as far as event files need it.

/// An encoded message: its fields, each with its number, wire type and value.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fields(Vec<u8>);

/// Wire types.
const VARINT: u32 = 0;
const EIGHT_BYTES: u32 = 1;
const LENGTH_FIRST: u32 = 2;
const FOUR_BYTES: u32 = 5;

impl Fields {
    pub(super) fn int(self, number: u32, value: i64) -> Self {
        // A negative number takes ten bytes, in two's complement.
        self.key(number, VARINT).varint(value as u64)
    }

    pub(super) fn double(self, number: u32, value: f64) -> Self {
        self.key(number, EIGHT_BYTES).raw(&value.to_le_bytes())
    }

    pub(super) fn float(self, number: u32, value: f32) -> Self {
        self.key(number, FOUR_BYTES).raw(&value.to_le_bytes())
    }

    /// Bytes or UTF-8 text.
    pub(super) fn bytes(self, number: u32, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.key(number, LENGTH_FIRST)
            .varint(value.len() as u64)
            .raw(value)
    }

    pub(super) fn message(self, number: u32, value: &Self) -> Self {
        self.bytes(number, &value.0)
    }

    pub(super) fn doubles(self, number: u32, values: &[f64]) -> Self {
        let packed: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.bytes(number, packed)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn key(self, number: u32, form: u32) -> Self {
        self.varint(u64::from(number << 3 | form))
    }

    /// Seven bits per byte, lowest first; the eighth bit marks that more follow.
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_documentation() {
        // The examples in the encoding guide: `a: 150`, `b: "testing"`, `c { a: 150 }`.
        let a = Fields::default().int(1, 150);
        assert_eq!(a.as_bytes(), [0x08, 0x96, 0x01]);
        let b = Fields::default().bytes(2, "testing");
        assert_eq!(b.as_bytes(), b"\x12\x07testing");
        let c = Fields::default().message(3, &a);
        assert_eq!(c.as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn numbers_are_little_endian() {
        let float = Fields::default().float(2, 1.0);
        assert_eq!(float.as_bytes(), [0x15, 0, 0, 0x80, 0x3f]);
        let doubles = Fields::default().doubles(6, &[1.0]);
        assert_eq!(doubles.as_bytes(), [0x32, 8, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        let negative = Fields::default().int(1, -1);
        assert_eq!(negative.as_bytes().len(), 11);
    }
}
