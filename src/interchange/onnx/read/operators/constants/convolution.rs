//! A convolution of constants: exporters from JAX count the cells of windows so.

use super::super::super::inputs::Inputs;
use super::super::super::nd_array::{NdArray, count};
use super::super::super::reading::GraphReading;
use super::super::super::value::GraphValue;
use super::super::windows::WindowAxes;
use crate::error::FormatError;

/// One image of one channel, and a kernel for it.
pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let (image, kernel) = (inputs.numbers(0)?, inputs.numbers(1)?);
    let wrong = || {
        inputs
            .node
            .error("expected one constant image of one channel")
    };
    let ([1, 1, sizes @ ..], [1, 1, windows @ ..]) = (image.array.dims(), kernel.array.dims())
    else {
        return Err(wrong());
    };
    if sizes.len() != windows.len() || inputs.get(2).is_some() {
        return Err(wrong());
    }
    let axes = WindowAxes::new(inputs, windows.to_vec())?;
    let outputs = axes.outputs(sizes).ok_or_else(wrong)?;
    let taps = count(&outputs).and_then(|n| n.checked_mul(kernel.array.len()));
    reading.spend(&inputs.node, taps.ok_or_else(wrong)?)?;
    let mut elements = Vec::new();
    for output in positions(&outputs) {
        let taps = positions(windows).zip(kernel.array.elements());
        let products = taps.map(|(tap, &weight)| {
            let cell = axes.cell(sizes, &output, &tap);
            let cell = cell.and_then(|i| image.array.elements().get(i));
            f64::from(weight) * cell.map_or(0.0, |&v| f64::from(v))
        });
        elements.push(products.sum::<f64>() as f32);
    }
    let dims = [&[1, 1], outputs.as_slice()].concat();
    let array = NdArray::new(dims, elements).ok_or_else(wrong)?;
    Ok(GraphValue::Floats(image.derived(array)))
}

/// All indices into an array of this shape, in row-major order.
fn positions(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let dims = dims.to_vec();
    let n = count(&dims).unwrap_or(0);
    (0..n).map(move |mut i| {
        let mut position = vec![0; dims.len()];
        for (index, &size) in position.iter_mut().zip(&dims).rev() {
            *index = i % size;
            i /= size;
        }
        position
    })
}
