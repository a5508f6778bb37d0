//! The sizes of a file's parts, before they are decoded.
//!
//! Decoded, an empty message takes hundreds of bytes in memory, but only two in a file.

use prost::encoding::{WireType, decode_key, decode_varint};

use crate::error::FormatError;

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
    use prost::Message;

    use super::*;
    use crate::interchange::onnx::messages::{GraphProto, ModelProto, TensorProto};

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
        prost::encoding::encode_varint(graph.len() as u64, &mut bytes);
        bytes.extend(graph);
        let message = check(&bytes).unwrap_err().to_string();
        assert!(message.contains("at most 16 MiB"), "{message}");
    }
}
