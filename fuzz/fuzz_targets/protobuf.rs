//! Mutates protobuf messages so that they can still be decoded: mutates a field of a message in the
//! message, and then corrects the lengths of all that contain it.

use libfuzzer_sys::fuzzer_mutate;

/// Messages lie in each other no deeper than in ONNX's.
const DEEPEST: usize = 8;
/// Numbers that often cause errors.
const NUMBERS: [u64; 8] = [0, 1, 2, 7, 255, 1 << 31, i64::MAX as u64, u64::MAX];

/// Mutates `data`, whose first `size` bytes are used. Returns the new size.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    // The rest gets ordinary mutations.
    let file = match seed % 8 {
        0 => None,
        _ => message(&data[..size], &mut Random(u64::from(seed)), DEEPEST),
    };
    match file {
        Some(file) if file.len() <= most => {
            data[..file.len()].copy_from_slice(&file);
            file.len()
        }
        _ => fuzzer_mutate(data, size, most),
    }
}

/// Numbers that follow from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

struct Field<'a> {
    /// The field's number and wire type.
    key: u64,
    value: Value<'a>,
}

enum Value<'a> {
    Number(u64),
    Fixed(&'a [u8]),
    Bytes(Vec<u8>),
}

/// A message with another field, or `None` if this is no message.
fn message(bytes: &[u8], random: &mut Random, depth: usize) -> Option<Vec<u8>> {
    let mut fields = fields(bytes)?;
    let index = random.below(fields.len());
    match random.below(8) {
        0 => {
            fields.remove(index);
        }
        1 => {
            let other = random.below(fields.len());
            fields.swap(index, other);
        }
        _ => change(&mut fields.get_mut(index)?.value, random, depth),
    }
    Some(encoded(&fields))
}

fn change(value: &mut Value<'_>, random: &mut Random, depth: usize) {
    match value {
        Value::Number(number) => match random.below(2) {
            0 => *number = NUMBERS[random.below(NUMBERS.len())],
            _ => *number = random.below(16) as u64,
        },
        Value::Fixed(_) => {}
        Value::Bytes(bytes) => {
            let inner = match depth > 0 && random.below(8) > 0 {
                true => message(bytes, random, depth - 1),
                false => None,
            };
            *bytes = inner.unwrap_or_else(|| mutated(bytes));
        }
    }
}

fn mutated(bytes: &[u8]) -> Vec<u8> {
    let mut other = bytes.to_vec();
    // Room to grow.
    other.resize(2 * bytes.len() + 16, 0);
    let most = other.len();
    let length = fuzzer_mutate(&mut other, bytes.len(), most);
    other.truncate(length);
    other
}

/// The fields of a message, at least one.
fn fields(mut left: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !left.is_empty() {
        let key = varint(&mut left)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut left)?),
            1 => Value::Fixed(taken(&mut left, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut left)?).ok()?;
                Value::Bytes(taken(&mut left, length)?.to_vec())
            }
            5 => Value::Fixed(taken(&mut left, 4)?),
            _ => return None,
        };
        if key >> 3 == 0 {
            return None;
        }
        fields.push(Field { key, value });
    }
    (!fields.is_empty()).then_some(fields)
}

fn taken<'a>(left: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = left.split_at_checked(length)?;
    *left = rest;
    Some(taken)
}

fn varint(left: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = left.split_first()?;
        *left = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn encoded(fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        put(&mut bytes, field.key);
        match &field.value {
            Value::Number(number) => put(&mut bytes, *number),
            Value::Fixed(fixed) => bytes.extend(*fixed),
            Value::Bytes(inner) => {
                put(&mut bytes, inner.len() as u64);
                bytes.extend(inner);
            }
        }
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
