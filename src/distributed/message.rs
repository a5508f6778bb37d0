//! The messages between ranks as bytes, little-endian.

use crate::error::{Error, Result};
use crate::exec::StepMetrics;

/// A node of the tree of sums: gradients, and the metrics of their micro-batches, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TreeNode {
    /// Whether one of its ranks was asked to stop.
    pub(crate) interrupted: bool,
    pub(crate) metrics: Vec<StepMetrics>,
    pub(crate) gradients: Vec<f32>,
}

/// Bytes of the metrics of a step.
const METRICS: usize = 12;

impl TreeNode {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let len = 8 + METRICS * self.metrics.len() + 4 * self.gradients.len();
        let mut bytes = Vec::with_capacity(len);
        bytes.extend(u32::from(self.interrupted).to_le_bytes());
        bytes.extend((self.metrics.len() as u32).to_le_bytes());
        for step in &self.metrics {
            bytes.extend(step.loss_sum.to_le_bytes());
            bytes.extend(step.correct.to_le_bytes());
            bytes.extend(step.rows.to_le_bytes());
        }
        for gradient in &self.gradients {
            bytes.extend(gradient.to_le_bytes());
        }
        bytes
    }

    /// # Errors
    /// The ranks do not run the same program.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wrong = || Error::Rank("a message of another rank cannot be read".into());
        let (words, rest) = bytes.as_chunks::<4>();
        let ([interrupted, count, words @ ..], []) = (words, rest) else {
            return Err(wrong());
        };
        let count = u32::from_le_bytes(*count) as usize;
        let metrics_end = count.checked_mul(METRICS / 4).ok_or_else(wrong)?;
        let (metrics, gradients) = words.split_at_checked(metrics_end).ok_or_else(wrong)?;
        let (metrics, _) = metrics.as_chunks::<3>();
        let metrics = metrics.iter().map(|[loss, correct, rows]| {
            let [correct, rows] = [correct, rows].map(|word| u32::from_le_bytes(*word));
            StepMetrics::new(f32::from_le_bytes(*loss), correct, rows)
        });
        Ok(Self {
            interrupted: u32::from_le_bytes(*interrupted) != 0,
            metrics: metrics.collect(),
            gradients: gradients.iter().map(|g| f32::from_le_bytes(*g)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_survives_the_way_and_another_message_is_an_error() {
        let node = TreeNode {
            interrupted: true,
            metrics: vec![
                StepMetrics::new(1.5, 2, 3),
                StepMetrics::new(f32::INFINITY, 0, 7),
            ],
            gradients: vec![-0.0, 1e-40, 3.25],
        };
        let bytes = node.to_bytes();
        let again = TreeNode::from_bytes(&bytes).unwrap();
        assert_eq!(again, node);
        assert_eq!(again.gradients[0].to_bits(), (-0.0_f32).to_bits());
        for wrong in [&bytes[..7], &bytes[..9], &[0xff; 16], &[]] {
            assert!(TreeNode::from_bytes(wrong).is_err());
        }
    }
}
