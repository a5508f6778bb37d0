//! The sizes of a file's parts, before they are decoded.
//!
//! Decoded, an empty message takes hundreds of bytes in memory, but only two in a file.

use std::io::{self, Read, Seek};

use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

use super::super::messages::StringStringEntryProto;
use super::stored::LARGE;
use crate::error::FormatError;

/// The value of `TensorProto.data_location` of a tensor that was left in the model's file.
pub(super) const INSIDE: i32 = -1;
/// Where an initializer is in a model, by the numbers of fields, and its raw values in it.
const INITIALIZER: [u32; 2] = [7, 5];
const RAW_DATA: u32 = 9;

/// Everything but weights takes no more than this.
const MOST: usize = 16 << 20;

/// Where weights are, by the numbers of fields: the raw and the listed values of initializers, and
/// of constant nodes.
const WEIGHTS: [&[u32]; 4] = [&[7, 5, 9], &[7, 5, 4], &[7, 1, 5, 5, 9], &[7, 1, 5, 5, 4]];

/// Checks that a model can be decoded without taking much more memory than the file.
///
/// # Errors
/// It has too many nodes and values, apart from weights.
pub(super) fn check(model: &[u8]) -> Result<(), FormatError> {
    let weights = WEIGHTS.iter().map(|path| size(model, path));
    let rest = model.len().saturating_sub(weights.sum());
    if rest <= MOST {
        return Ok(());
    }
    Err(format!(
        "its graph takes {} MiB apart from weights; expected at most {} MiB",
        rest >> 20,
        MOST >> 20
    )
    .into())
}

/// A model in a file, without the values of its large tensors, in whose place is where they are.
///
/// # Errors
/// The file cannot be read, or is not a message.
pub(super) fn outline(file: &mut (impl Read + Seek), len: u64) -> io::Result<Vec<u8>> {
    let mut reader = WireReader {
        file: io::BufReader::new(file),
        at: 0,
    };
    let mut message = Vec::new();
    reader.copy(len, &INITIALIZER, &mut message)?;
    Ok(message)
}

struct WireReader<R> {
    file: io::BufReader<R>,
    /// The place of the next byte.
    at: u64,
}

impl<R: Read + Seek> WireReader<R> {
    /// Copies a message up to `end`, and outlines the messages on `path` in it.
    fn copy(&mut self, end: u64, path: &[u32], to: &mut Vec<u8>) -> io::Result<()> {
        while self.at < end {
            let key = self.number(end)?;
            let (field, wire) = ((key >> 3) as u32, key & 7);
            let plain = match wire {
                0 => {
                    let number = self.number(end)?;
                    encode_varint(key, to);
                    encode_varint(number, to);
                    continue;
                }
                1 => 8,
                2 => self.number(end)?,
                5 => 4,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            if plain > end - self.at {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match path.split_first() {
                Some((&next, inner)) if field == next && wire == 2 => {
                    let mut message = Vec::new();
                    self.copy(self.at + plain, inner, &mut message)?;
                    append(field, &message, to);
                }
                None if field == RAW_DATA && wire == 2 && plain >= LARGE as u64 => {
                    self.leave(plain, to)?;
                }
                _ => {
                    encode_varint(key, to);
                    if wire == 2 {
                        encode_varint(plain, to);
                    }
                    self.bytes(plain, to)?;
                }
            }
        }
        Ok(())
    }

    /// Skips the raw values of a tensor, and says where they are.
    fn leave(&mut self, len: u64, to: &mut Vec<u8>) -> io::Result<()> {
        for (key, number) in [("offset", self.at), ("length", len)] {
            let entry = StringStringEntryProto {
                key: Some(key.into()),
                value: Some(number.to_string()),
            };
            append(13, &entry.encode_to_vec(), to);
        }
        encode_key(14, WireType::Varint, to);
        encode_varint(i64::from(INSIDE) as u64, to);
        let by = i64::try_from(len).map_err(io::Error::other)?;
        self.file.seek_relative(by)?;
        self.at += len;
        Ok(())
    }

    fn bytes(&mut self, len: u64, to: &mut Vec<u8>) -> io::Result<()> {
        let read = self.file.by_ref().take(len).read_to_end(to)? as u64;
        self.at += read;
        match read == len {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// A number of up to ten bytes, before `end`.
    fn number(&mut self, end: u64) -> io::Result<u64> {
        let mut bytes = Vec::with_capacity(10);
        while bytes.len() < 10 && self.at < end {
            self.bytes(1, &mut bytes)?;
            if bytes.last().is_some_and(|byte| byte & 0x80 == 0) {
                return decode_varint(&mut bytes.as_slice()).map_err(io::Error::other);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// Appends a message as a field.
fn append(field: u32, message: &[u8], to: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, to);
    encode_varint(message.len() as u64, to);
    to.extend_from_slice(message);
}

/// The bytes of all fields on this path in a message. What cannot be read counts as nothing.
fn size(message: &[u8], path: &[u32]) -> usize {
    let Some((&first, inner)) = path.split_first() else {
        return message.len();
    };
    let mut left = message;
    let mut total = 0usize;
    while let Some((number, value)) = field(&mut left) {
        if number == first {
            total = total.saturating_add(size(value, inner));
        }
    }
    total
}

/// The number of the next field, and its bytes if it has a length.
fn field<'a>(left: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let (number, wire) = decode_key(left).ok()?;
    let length = match wire {
        WireType::Varint => {
            decode_varint(left).ok()?;
            return Some((0, &[]));
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => usize::try_from(decode_varint(left).ok()?).ok()?,
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    let (value, behind) = left.split_at_checked(length)?;
    *left = behind;
    match wire {
        WireType::LengthDelimited => Some((number, value)),
        _ => Some((0, &[])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interchange::onnx::messages::{GraphProto, ModelProto, TensorProto};

    #[test]
    fn an_outline_says_where_large_values_are() {
        let tensor = |name: &str, size: usize| TensorProto {
            dims: vec![size as i64 / 4],
            name: Some(name.into()),
            raw_data: Some((0..size).map(|i| i as u8).collect::<Vec<u8>>().into()),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            name: Some("graph".into()),
            initializer: vec![
                tensor("small", 8),
                tensor("large", LARGE + 4),
                tensor("other", LARGE),
            ],
            ..GraphProto::default()
        };
        let mut model = ModelProto {
            ir_version: Some(8),
            producer_name: Some("test".into()),
            graph: Some(graph),
            ..ModelProto::default()
        };
        let bytes = model.encode_to_vec();
        let outlined = outline(&mut io::Cursor::new(&bytes), bytes.len() as u64).unwrap();
        assert!(outlined.len() < 300);
        let mut found = ModelProto::decode(outlined.as_slice()).unwrap();
        for i in 1..3 {
            let found = &mut found.graph.as_mut().unwrap().initializer[i];
            let wanted = &mut model.graph.as_mut().unwrap().initializer[i];
            let entries = std::mem::take(&mut found.external_data);
            let place: Vec<usize> = entries.iter().map(|e| e.value().parse().unwrap()).collect();
            let values = wanted.raw_data.take().unwrap();
            assert_eq!(bytes[place[0]..][..place[1]], values);
            assert_eq!(found.data_location.take(), Some(INSIDE));
        }
        assert_eq!(found, model);
        for cut in [1, 5, 100, LARGE] {
            let cut = bytes.len() - cut;
            let short = outline(&mut io::Cursor::new(&bytes[..cut]), cut as u64);
            assert!(short.is_err(), "{cut}");
        }
    }

    #[test]
    fn weights_may_be_large() {
        let tensor = TensorProto {
            raw_data: Some(vec![0; MOST + 1].into()),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            initializer: vec![tensor],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: Some(8),
            graph: Some(graph),
            ..ModelProto::default()
        };
        let bytes = model.encode_to_vec();
        assert_eq!(size(&bytes, &[7, 5, 9]), MOST + 1);
        assert!(check(&bytes).is_ok());
    }

    #[test]
    fn graphs_may_not() {
        // Empty nodes.
        let graph = [0x0a, 0].repeat(MOST / 2 + 1);
        let mut bytes = vec![0x3a];
        encode_varint(graph.len() as u64, &mut bytes);
        bytes.extend(graph);
        let message = check(&bytes).unwrap_err().to_string();
        assert!(message.contains("at most 16 MiB"), "{message}");
    }
}
