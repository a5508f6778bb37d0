//! The result of `convolve` as JSON.

use cnn_gpu::inspect::Matrix;
use serde::Serialize;

use super::Shown;
use super::cube::Cube;
use super::pass::FilterPass;

/// A filter over a picture.
#[derive(Serialize)]
pub struct ConvolveRecord<'a> {
    image: &'a str,
    filter: &'a str,
    passes: Vec<PassRecord<'a>>,
}

/// One convolution: of the grey picture, of a plane of colour or of all three.
#[derive(Serialize)]
struct PassRecord<'a> {
    plane: &'a str,
    input_shape: [usize; 3],
    filter_shape: [usize; 3],
    /// `[kh][kw][c]`
    weights: Vec<Vec<&'a [f32]>>,
    bias: Option<f32>,
    activation: &'static str,
    output_shape: [usize; 3],
    output: Vec<&'a [f32]>,
    pooled_shape: Option<[usize; 3]>,
    pooled: Option<Vec<&'a [f32]>>,
}

impl<'a> ConvolveRecord<'a> {
    /// All passes.
    pub fn new(shown: &'a Shown) -> Self {
        let passes = shown.passes.iter().map(|(plane, pass)| record(plane, pass));
        Self {
            image: &shown.origin,
            filter: &shown.filter,
            passes: passes.collect(),
        }
    }
}

fn record<'a>(plane: &'a str, pass: &'a FilterPass) -> PassRecord<'a> {
    let shape = |matrix: &Matrix| [matrix.rows(), matrix.columns(), 1];
    let pooled = pass.pooled.as_ref().map(|pooled| &pooled.output);
    PassRecord {
        plane,
        input_shape: pass.input.shape(),
        filter_shape: pass.kernel.weights.shape(),
        weights: nested(&pass.kernel.weights),
        bias: pass.kernel.bias,
        activation: pass.kernel.activation.name(),
        output_shape: shape(&pass.output),
        output: rows(&pass.output),
        pooled_shape: pooled.map(shape),
        pooled: pooled.map(rows),
    }
}

fn rows(matrix: &Matrix) -> Vec<&[f32]> {
    matrix.values().chunks(matrix.columns()).collect()
}

fn nested(cube: &Cube) -> Vec<Vec<&[f32]>> {
    let rows = cube.values.chunks(cube.size[1] * cube.channels);
    rows.map(|row| row.chunks(cube.channels).collect())
        .collect()
}
