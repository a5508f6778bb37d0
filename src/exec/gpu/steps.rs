//! The values that change from step to step, and the metrics of steps: a slot for each step of a
//! submission.

use std::mem::offset_of;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor,
    BindGroupLayoutEntry, BindingType, Buffer, BufferBinding, BufferBindingType, BufferDescriptor,
    BufferUsages, CommandEncoder, ShaderStages,
};

use super::device::GpuDevice;
use super::pace::MAX_STEPS;
use crate::exec::Step;

/// Every adapter supports uniform offsets that are multiples of this.
const SLOT_BYTES: usize = 256;
/// Size in bytes of the metrics of one step.
pub const METRICS_BYTES: u64 = 8;

/// The values that change from step to step: the twin of `Step` in `shaders/common.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct StepParams {
    /// Position of the batch's first row in the data set's order.
    pub offset: u32,
    /// Number of valid rows in the batch.
    pub rows: u32,
    /// Index of this step's metrics.
    pub slot: u32,
    /// The rate of the optimizer's rule.
    pub rate: f32,
    /// The fraction of the weights that decays.
    pub decay: f32,
    /// The fraction of the moving average that is kept.
    pub keep: f32,
    /// The key of the step's random draws.
    pub key: [u32; 2],
    /// 1 if the moving average replaces the weights.
    pub overwrites: u32,
    /// The place of the first row in its batch.
    pub first: u32,
    /// Number of valid rows of that batch.
    pub batch_rows: u32,
    /// Fills the last 8 bytes.
    pub spare: u32,
}

/// The size of a step's values in bytes, and the name, type and place of each.
pub fn step_fields() -> (usize, [(&'static str, &'static str, usize); 10]) {
    let fields = [
        ("offset", "u32", offset_of!(StepParams, offset)),
        ("rows", "u32", offset_of!(StepParams, rows)),
        ("slot", "u32", offset_of!(StepParams, slot)),
        ("rate", "f32", offset_of!(StepParams, rate)),
        ("decay", "f32", offset_of!(StepParams, decay)),
        ("keep", "f32", offset_of!(StepParams, keep)),
        ("key", "vec2<u32>", offset_of!(StepParams, key)),
        ("overwrites", "u32", offset_of!(StepParams, overwrites)),
        ("first", "u32", offset_of!(StepParams, first)),
        ("batch_rows", "u32", offset_of!(StepParams, batch_rows)),
    ];
    (size_of::<StepParams>(), fields)
}

/// The slots on the device.
pub struct Steps {
    pub layout: BindGroupLayout,
    bind_group: BindGroup,
    params: Buffer,
    pub metrics: Buffer,
}

impl Steps {
    /// Sets the slot of the following dispatches.
    pub fn select(&self, pass: &mut wgpu::ComputePass<'_>, i: usize) {
        pass.set_bind_group(0, &self.bind_group, &[(i * SLOT_BYTES) as u32]);
    }

    /// Copies the metrics of the first `count` steps.
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
            size: (MAX_STEPS * SLOT_BYTES) as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let metrics = self.device.create_buffer(&BufferDescriptor {
            label: Some("metrics"),
            size: MAX_STEPS as u64 * METRICS_BYTES,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
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

    /// Writes the values for the steps of the next submission.
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
                overwrites: u32::from(step.rates.overwrites),
                first: step.part.first as u32,
                batch_rows: step.part.of as u32,
                spare: 0,
            };
            bytes[i * SLOT_BYTES..][..size_of::<StepParams>()]
                .copy_from_slice(bytemuck::bytes_of(&params));
        }
        self.queue.write_buffer(&steps.params, 0, &bytes);
    }
}
