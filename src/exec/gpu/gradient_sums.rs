//! Partial sums of the gradients of micro-batches on the device.

use wgpu::{BindGroupLayout, Buffer};

use super::buffers::Arenas;
use super::call::Call;
use super::device::GpuDevice;
use super::dispatch::{Dispatch, Resource};
use crate::error::Result;
use crate::exec::GradientSum;
use crate::state::Layout;

/// The stack of sums; see [`GradientSum`].
#[derive(Default)]
pub struct GradientSums {
    places: Vec<SumPlace>,
}

/// A place on the stack, and the dispatches that read and write it.
struct SumPlace {
    waiting: Buffer,
    add: Dispatch,
    keep: Dispatch,
}

/// What the calls bind.
#[derive(Clone, Copy)]
enum SumOperand {
    Gradients,
    Waiting,
}

/// The calls that add a waiting sum to the gradients and that keep a sum, for an arena of `len`
/// floats.
fn calls(len: usize, workgroup: usize) -> [Call<SumOperand>; 2] {
    ["add_gradients", "keep_gradients"].map(|entry| {
        let text = include_str!("../../../shaders/gradient_sum.wgsl");
        Call::new(entry, text, workgroup)
            .cells(4)
            .sizes(&[("LEN", len / 4)])
            .invocations(len / 4)
            .write(SumOperand::Gradients)
            .write(SumOperand::Waiting)
    })
}

impl GradientSums {
    /// Makes room for what a step needs.
    ///
    /// # Errors
    /// The adapter lacks the memory.
    pub fn reserve(
        &mut self,
        gpu: &GpuDevice,
        step_layout: &BindGroupLayout,
        (layout, arenas): (&Layout, &Arenas),
        sum: GradientSum,
    ) -> Result<()> {
        let needed = sum.place().map_or(0, |place| place + 1);
        while self.places.len() < needed {
            let waiting = gpu.storage("sum of gradients", 4 * layout.len as u64)?;
            let prepare = |call: &Call<SumOperand>| {
                gpu.prepare(call, step_layout, |operand, _| {
                    let bytes = 4 * layout.len as u64;
                    let buffer = match operand {
                        SumOperand::Gradients => &arenas.gradients,
                        SumOperand::Waiting => &waiting,
                    };
                    Ok(Resource::Buffer(buffer, Some((0, bytes.max(16)))))
                })
            };
            let [add, keep] = calls(layout.len, gpu.tuning().untiled);
            let (add, keep) = (prepare(&add)?, prepare(&keep)?);
            self.places.push(SumPlace { waiting, add, keep });
        }
        Ok(())
    }

    /// The dispatches after a step.
    pub fn dispatches(&self, sum: GradientSum) -> impl Iterator<Item = &Dispatch> {
        let added = sum.added().map(|place| &self.places[place].add);
        added.chain(sum.place().map(|place| &self.places[place].keep))
    }

    /// Whether kernels kept to these buffers.
    ///
    /// # Errors
    /// The device failed.
    pub fn are_intact(&self, gpu: &GpuDevice) -> Result<bool> {
        for place in &self.places {
            if !gpu.is_intact(&place.waiting)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
