//! What other frameworks compute, and what the CPU executor computes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use cnn_gpu::interchange::Network;
use cnn_gpu::model::Loss;
use cnn_gpu::state::State;

use super::{common, outputs};

/// A file below `files`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/interchange/files")
        .join(name)
}

/// The tensors of an `.expected.safetensors`.
pub struct Expected(HashMap<String, Vec<f32>>);

impl Expected {
    /// Those of the network `name`: `keras/lab`.
    pub fn of(name: &str) -> Self {
        let bytes = std::fs::read(file(&format!("{name}.expected.safetensors"))).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let values = |data: &[u8], number: fn([u8; 4]) -> f32| {
            let (numbers, _) = data.as_chunks();
            numbers.iter().map(|&bytes| number(bytes)).collect()
        };
        let tensors = tensors.tensors().into_iter().map(|(name, tensor)| {
            let number = match tensor.dtype() {
                safetensors::Dtype::F32 => f32::from_le_bytes,
                _ => |bytes| i32::from_le_bytes(bytes) as f32,
            };
            (name, values(tensor.data(), number))
        });
        Self(tensors.collect())
    }

    /// A tensor's values.
    pub fn values(&self, name: &str) -> Option<&[f32]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Checks that a network's outputs are the expected ones.
    pub fn check_outputs(&self, network: &Network, tolerance: f32) {
        let found = outputs(network, self.values("input").unwrap());
        let probabilities = self.values("probabilities");
        let expected = match network.model.loss {
            Loss::MeanSquaredError => None,
            _ => probabilities,
        };
        let expected = expected.or(self.values("output")).unwrap();
        assert_eq!(found.len(), expected.len());
        let worst = difference(&found, expected);
        println!("{}: off by {worst:.1e}", network.model.name);
        assert!(
            worst <= tolerance,
            "off by {worst:.1e}, allowed {tolerance:.0e}"
        );
    }

    /// Checks that the parameters and moments are the expected ones, bit for bit.
    pub fn check_state(&self, state: &State, arenas: &[&str]) {
        for (prefix, arena) in [("param", &state.params), ("m", &state.m), ("v", &state.v)] {
            if !arenas.contains(&prefix) {
                continue;
            }
            for p in &state.layout.parameters {
                let expected = self.values(&format!("{prefix}/{}", p.name));
                let Some(expected) = expected.or((prefix != "param").then_some(&[][..])) else {
                    panic!("no {prefix} of {} is expected", p.name);
                };
                if p.trainable || prefix == "param" {
                    assert_eq!(&arena[p.range()], expected, "{prefix}/{}", p.name);
                }
            }
        }
    }
}

/// The largest difference.
pub fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The outputs for inputs `[n, h, w, c]`: probabilities, or the last layer's with the mean squared
/// error.
pub fn outputs(network: &Network, input: &[f32]) -> Vec<f32> {
    outputs::outputs(&common::cpu, network, input).0
}
