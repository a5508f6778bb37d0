//! The messages between ranks as bytes, little-endian.

use byteorder::{ByteOrder as _, LittleEndian};

use crate::error::{Error, Result};
use crate::exec::StepMetrics;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// The part of a training step.
    Training = 1,
    /// The part of an evaluation.
    Evaluation = 2,
}

/// A node of the tree of sums: gradients, and the metrics of their micro-batches, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TreeNode {
    /// What it is for, and the number of this exchange, counted alike on all ranks.
    pub(crate) about: (Exchange, u64),
    /// Whether one of its ranks was asked to stop.
    pub(crate) interrupted: bool,
    pub(crate) metrics: Vec<StepMetrics>,
    pub(crate) gradients: Vec<f32>,
}

/// Bytes of the metrics of a step.
const METRICS: usize = 12;

impl TreeNode {
    /// An empty node.
    pub(crate) fn new(about: (Exchange, u64)) -> Self {
        Self {
            about,
            interrupted: false,
            metrics: Vec::new(),
            gradients: Vec::new(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let len = 20 + METRICS * self.metrics.len() + 4 * self.gradients.len();
        let mut bytes = Vec::with_capacity(len);
        let (exchange, number) = self.about;
        bytes.extend((exchange as u32).to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(u32::from(self.interrupted).to_le_bytes());
        bytes.extend((self.metrics.len() as u32).to_le_bytes());
        for step in &self.metrics {
            bytes.extend(step.loss_sum.to_le_bytes());
            bytes.extend(step.correct.to_le_bytes());
            bytes.extend(step.rows.to_le_bytes());
        }
        let start = bytes.len();
        bytes.resize(len, 0);
        LittleEndian::write_f32_into(&self.gradients, &mut bytes[start..]);
        bytes
    }

    /// # Errors
    /// It is not about what was expected: the ranks do not run the same program, or are at different steps.
    pub(crate) fn from_bytes(bytes: &[u8], about: (Exchange, u64)) -> Result<Self> {
        let wrong = || Error::Rank("a message of another rank cannot be read".into());
        let (words, rest) = bytes.as_chunks::<4>();
        let ([exchange, low, high, interrupted, count, words @ ..], []) = (words, rest) else {
            return Err(wrong());
        };
        let [low, high] = [low, high].map(|word| u64::from(u32::from_le_bytes(*word)));
        let (exchange, number) = (u32::from_le_bytes(*exchange), high << 32 | low);
        if (exchange, number) != (about.0 as u32, about.1) {
            return Err(Error::Rank(format!(
                "the ranks are at different steps: expected exchange {} of kind {}, received {number} of kind \
                 {exchange}; all must make the same calls",
                about.1, about.0 as u32
            )));
        }
        let count = u32::from_le_bytes(*count) as usize;
        let metrics_end = count.checked_mul(METRICS / 4).ok_or_else(wrong)?;
        let (metrics, words) = words.split_at_checked(metrics_end).ok_or_else(wrong)?;
        let mut gradients = vec![0.0; words.len()];
        LittleEndian::read_f32_into(words.as_flattened(), &mut gradients);
        let (metrics, _) = metrics.as_chunks::<3>();
        let metrics = metrics.iter().map(|[loss, correct, rows]| {
            let [correct, rows] = [correct, rows].map(|word| u32::from_le_bytes(*word));
            StepMetrics::new(f32::from_le_bytes(*loss), correct, rows)
        });
        Ok(Self {
            about,
            interrupted: u32::from_le_bytes(*interrupted) != 0,
            metrics: metrics.collect(),
            gradients,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_survives_the_way_and_another_message_is_an_error() {
        let about = (Exchange::Training, 1 << 40 | 3);
        let node = TreeNode {
            about,
            interrupted: true,
            metrics: vec![
                StepMetrics::new(1.5, 2, 3),
                StepMetrics::new(f32::INFINITY, 0, 7),
            ],
            gradients: vec![-0.0, 1e-40, 3.25],
        };
        let bytes = node.to_bytes();
        let again = TreeNode::from_bytes(&bytes, about).unwrap();
        assert_eq!(again, node);
        assert_eq!(again.gradients[0].to_bits(), (-0.0_f32).to_bits());
        for wrong in [&bytes[..7], &bytes[..21], &[0xff; 24], &[]] {
            assert!(TreeNode::from_bytes(wrong, about).is_err());
        }
        for other in [(Exchange::Evaluation, about.1), (about.0, about.1 + 1)] {
            let error = TreeNode::from_bytes(&bytes, other).unwrap_err().to_string();
            assert!(error.contains("at different steps"), "{error}");
        }
    }
}
