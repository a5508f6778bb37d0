//! What changes from step to step, and what steps measure: a slot for each step of a submission.

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor,
    BindGroupLayoutEntry, BindingType, Buffer, BufferBinding, BufferBindingType, BufferDescriptor,
    BufferUsages, CommandEncoder, ShaderStages,
};

use super::device::GpuDevice;
use super::pace::MOST_STEPS;
use crate::exec::Step;

/// Uniform offsets are multiples of this on every adapter.
const SLOT_BYTES: usize = 256;
/// Bytes of a slot of metrics.
pub const METRICS_BYTES: u64 = 8;

/// What changes from step to step: the twin of `Step` in `shaders/common.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct StepParams {
    /// Place of the batch's first row in the data set's order.
    pub offset: u32,
    /// Valid rows of the batch.
    pub rows: u32,
    /// Where this step's loss and correct count go.
    pub slot: u32,
    /// What the optimizer's rule multiplies with.
    pub rate: f32,
    /// The share of the weights that decays.
    pub decay: f32,
    /// The share of the weights' average that stays.
    pub keep: f32,
    /// The key of the step's draws.
    pub key: [u32; 2],
}

/// The slots on the device.
pub struct Steps {
    pub layout: BindGroupLayout,
    bind_group: BindGroup,
    params: Buffer,
    pub metrics: Buffer,
}

impl Steps {
    /// Makes slot `i` the one that the following dispatches see.
    pub fn select(&self, pass: &mut wgpu::ComputePass<'_>, i: usize) {
        pass.set_bind_group(0, &self.bind_group, &[(i * SLOT_BYTES) as u32]);
    }

    /// Copies what the first `count` steps measured.
    pub fn copy_metrics(&self, encoder: &mut CommandEncoder, count: usize, staging: &Buffer) {
        let bytes = count as u64 * METRICS_BYTES;
        encoder.copy_buffer_to_buffer(&self.metrics, 0, staging, 0, bytes);
    }
}

impl GpuDevice {
    /// The slots of an executor.
    pub(super) fn steps(&self) -> Steps {
        let layout = self
            .device
            .create_bind_group_layout(&BindGroupLayoutDescriptor {
                label: Some("step"),
                entries: &[BindGroupLayoutEntry {
                    binding: 0,
                    visibility: ShaderStages::COMPUTE,
                    ty: BindingType::Buffer {
                        ty: BufferBindingType::Uniform,
                        has_dynamic_offset: true,
                        min_binding_size: None,
                    },
                    count: None,
                }],
            });
        let params = self.device.create_buffer(&BufferDescriptor {
            label: Some("steps"),
            size: (MOST_STEPS * SLOT_BYTES) as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let metrics = self.device.create_buffer(&BufferDescriptor {
            label: Some("metrics"),
            size: MOST_STEPS as u64 * METRICS_BYTES,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let bind_group = self.device.create_bind_group(&BindGroupDescriptor {
            label: Some("step"),
            layout: &layout,
            entries: &[BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(BufferBinding {
                    buffer: &params,
                    offset: 0,
                    size: std::num::NonZeroU64::new(size_of::<StepParams>() as u64),
                }),
            }],
        });
        Steps {
            layout,
            bind_group,
            params,
            metrics,
        }
    }

    /// Writes the values of the steps of the next submission.
    pub(super) fn write_steps(&self, steps: &Steps, list: &[Step]) {
        let mut bytes = vec![0u8; list.len() * SLOT_BYTES];
        for (i, step) in list.iter().enumerate() {
            let params = StepParams {
                offset: step.offset as u32,
                rows: step.rows as u32,
                slot: i as u32,
                rate: step.rates.rate,
                decay: step.rates.decay,
                keep: step.rates.keep,
                key: step.key.words(),
            };
            bytes[i * SLOT_BYTES..][..size_of::<StepParams>()]
                .copy_from_slice(bytemuck::bytes_of(&params));
        }
        self.queue.write_buffer(&steps.params, 0, &bytes);
    }
}
