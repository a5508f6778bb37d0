//! How large a model is without its weights. Messages take up to 200 times their bytes in memory,
//! so that a file of empty ones must be refused before it is decoded; weights take what they are.

use crate::error::FormatError;

/// The largest model without weights. Those of real networks take less than 1 MiB.
const MOST: usize = 16 << 20;

/// Checks the size of a model without its weights.
///
/// # Errors
/// It is more than 16 MiB.
pub(super) fn check(model: &[u8]) -> Result<(), FormatError> {
    let rest = model.len() - weights(model);
    if rest <= MOST {
        return Ok(());
    }
    Err(format!(
        "its graph takes {} MiB without the weights: expected at most {}",
        rest >> 20,
        MOST >> 20
    )
    .into())
}

/// The bytes of all weights and constants in a model.
fn weights(model: &[u8]) -> usize {
    fields(model, 7).map(|graph| {
        let initializers = fields(graph, 5).map(values);
        let attributes = fields(graph, 1).flat_map(|node| fields(node, 5));
        let constants = attributes.flat_map(|attribute| fields(attribute, 5));
        initializers.sum::<usize>() + constants.map(values).sum::<usize>()
    })
    .sum()
}

/// The bytes of a tensor's values: `float_data`, `int32_data`, `int64_data`, `raw_data`,
/// `double_data`.
fn values(tensor: &[u8]) -> usize {
    let numbers = [4, 5, 7, 9, 10];
    let lengths = numbers.map(|number| fields(tensor, number).map(<[u8]>::len).sum::<usize>());
    lengths.into_iter().sum()
}

/// The fields with this number that are messages, texts or packed lists, as far as the message is
/// intact.
fn fields(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    let mut next = move || -> Option<(u64, &[u8])> {
        let (key, after) = varint(rest)?;
        let (contents, after) = match key & 7 {
            0 => (&after[..0], varint(after)?.1),
            1 => after.split_at_checked(8)?,
            2 => {
                let (length, after) = varint(after)?;
                after.split_at_checked(usize::try_from(length).ok()?)?
            }
            5 => after.split_at_checked(4)?,
            _ => return None,
        };
        rest = after;
        Some((if key & 7 == 2 { key >> 3 } else { 0 }, contents))
    };
    std::iter::from_fn(move || next())
        .filter(move |(found, _)| *found == number)
        .map(|(_, contents)| contents)
}

/// A number of seven bits per byte, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 127) << (7 * i);
        if byte < 128 {
            return Some((value, bytes.get(i + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::interchange::onnx::messages::{
        AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto,
    };

    fn tensor(bytes: usize) -> TensorProto {
        TensorProto {
            dims: vec![1, 2, 3],
            raw_data: Some(vec![7; bytes]),
            ..TensorProto::default()
        }
    }

    fn model(nodes: usize) -> Vec<u8> {
        let constant = AttributeProto {
            t: Some(tensor(50)),
            ..AttributeProto::default()
        };
        let node = NodeProto {
            attribute: vec![constant],
            ..NodeProto::default()
        };
        let graph = GraphProto {
            node: vec![node; nodes],
            initializer: vec![tensor(1000), tensor(300)],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: Some(8),
            graph: Some(graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    #[test]
    fn weights_do_not_count() {
        assert_eq!(weights(&model(3)), 1450);
        for length in 0..model(3).len() {
            assert!(weights(&model(3)[..length]) <= length);
        }
        assert!(check(&model(100_000)).is_ok());
    }

    #[test]
    fn many_messages_are_refused() {
        let message = check(&model(1 << 20)).unwrap_err().to_string();
        assert!(message.contains("expected at most 16"), "{message}");
    }
}
