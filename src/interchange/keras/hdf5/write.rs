//! Writing files of weights.

use std::io::Write;

use hdf5_pure::{FileBuilder, FinishedGroup, GroupBuilder, LibVer};

use crate::error::FormatError;

/// The variables of one object of Keras: a layer or the optimizer.
pub(in super::super) struct Variables<'a> {
    /// The name of its group.
    pub(in super::super) group: String,
    /// Its variables, in Keras's order.
    pub(in super::super) variables: Vec<Variable<'a>>,
}

/// A variable.
pub(in super::super) enum Variable<'a> {
    /// Floats of this shape.
    Floats(&'a [usize], &'a [f32]),
    /// Zeros of this shape.
    Zeros(&'a [usize]),
    /// One float.
    Float(f32),
    /// One integer.
    Integer(i64),
}

/// Writes the variables of the layers and of the optimizer, if there is one. Keras also writes the
/// names of its objects, as attributes, which it does not read.
pub(in super::super) fn write(
    layers: Vec<Variables<'_>>,
    optimizer: Option<Variables<'_>>,
    out: &mut dyn Write,
) -> Result<(), FormatError> {
    let mut file = FileBuilder::new();
    // Netron reads neither the newer formats nor this crate's attributes.
    file.with_libver_bounds(LibVer::Earliest, LibVer::V18);
    let mut group = file.create_group("layers");
    for variables in layers {
        add(&mut group, variables);
    }
    file.add_group(group.finish());
    if let Some(optimizer) = optimizer {
        let group = file.create_group(&optimizer.group);
        file.add_group(filled(group, optimizer));
    }
    let own = file.create_group("vars");
    file.add_group(own.finish());
    file.finish_to(out)
        .map_err(|e| FormatError::from(format!("cannot be written: {e}")).caused_by(e))
}

fn add(parent: &mut GroupBuilder, variables: Variables<'_>) {
    let group = parent.create_group(&variables.group);
    parent.add_group(filled(group, variables));
}

/// The group with its variables.
fn filled(mut group: GroupBuilder, variables: Variables<'_>) -> FinishedGroup {
    let mut inner = group.create_group("vars");
    for (i, variable) in variables.variables.into_iter().enumerate() {
        let dataset = inner.create_dataset(&i.to_string());
        match variable {
            Variable::Floats(shape, values) => {
                dataset.with_f32_data(values).with_shape(&sizes(shape));
            }
            Variable::Zeros(shape) => {
                let zeros = vec![0.0; shape.iter().product()];
                dataset.with_f32_data(&zeros).with_shape(&sizes(shape));
            }
            Variable::Float(value) => {
                dataset.with_f32_data(&[value]).with_shape(&[]);
            }
            Variable::Integer(value) => {
                dataset.with_i64_data(&[value]).with_shape(&[]);
            }
        }
    }
    group.add_group(inner.finish());
    group.finish()
}

fn sizes(shape: &[usize]) -> Vec<u64> {
    shape.iter().map(|&n| n as u64).collect()
}
