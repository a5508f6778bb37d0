//! A plan on the device: its buffers and its dispatches, all made before the first step.

use std::collections::HashMap;
use std::ops::Range;

use wgpu::{Buffer, BufferDescriptor, BufferUsages};

use super::device::GpuDevice;
use super::executor::{Arenas, GpuData, Steps};
use super::kernel::{Call, Dispatch, Place};
use super::lower::{Lowered, Slot};
use crate::error::{Error, Result};
use crate::exec::DataId;
use crate::plan::{BufferId, Element, Op, Plan, Role};

/// A compiled plan.
pub struct GpuProgram {
    pub plan: Plan,
    buffers: HashMap<BufferId, Buffer>,
    partials: Buffer,
    blocks: Buffer,
    nothing: Buffer,
    /// The gather's call; its dispatch depends on the data set.
    gather: Option<Call<Slot>>,
    gathers: HashMap<DataId, Dispatch>,
    /// For each operation its dispatches; empty for a gather.
    ops: Vec<Vec<Dispatch>>,
    /// For each operation the reduction that completes it when it runs alone.
    alone: Vec<Option<Dispatch>>,
}

impl GpuProgram {
    /// Makes buffers, pipelines and bind groups.
    pub fn new(gpu: &GpuDevice, steps: &Steps, arenas: &Arenas, plan: &Plan) -> Result<Self> {
        let lowered = Lowered::new(plan, &gpu.tuning());
        let mut buffers = HashMap::new();
        for (i, buffer) in plan.buffers.iter().enumerate() {
            if matches!(buffer.role, Role::Input | Role::Intermediate) {
                let bytes = 4 * buffer.len() as u64;
                let made = gpu.storage(&buffer.name, bytes)?;
                buffers.insert(BufferId(i), made);
            }
        }
        let blocks: &[u8] = bytemuck::cast_slice(&lowered.blocks);
        let mut program = Self {
            plan: plan.clone(),
            buffers,
            partials: gpu.storage("partial gradients", 4 * lowered.partials as u64)?,
            blocks: gpu.storage("blocks", blocks.len() as u64)?,
            nothing: gpu.storage("nothing", 16)?,
            gather: None,
            gathers: HashMap::new(),
            ops: Vec::new(),
            alone: Vec::new(),
        };
        gpu.queue.write_buffer(&program.blocks, 0, blocks);
        program.prepare(gpu, steps, arenas, lowered)?;
        Ok(program)
    }

    fn prepare(
        &mut self,
        gpu: &GpuDevice,
        steps: &Steps,
        arenas: &Arenas,
        lowered: Lowered,
    ) -> Result<()> {
        let Lowered { ops, pending, .. } = lowered;
        for (i, (calls, range)) in ops.into_iter().zip(pending).enumerate() {
            let is_gather = matches!(self.plan.ops[i], Op::Gather { .. });
            let mut dispatches = Vec::new();
            for call in calls {
                if is_gather {
                    self.gather = Some(call);
                } else {
                    dispatches.push(gpu.prepare(&call, &steps.layout, |slot| {
                        self.place(arenas, steps, None, slot)
                    })?);
                }
            }
            let alone = match range.is_empty() {
                true => None,
                false => Some(gpu.prepare(&Lowered::reduce(range), &steps.layout, |slot| {
                    self.place(arenas, steps, None, slot)
                })?),
            };
            self.ops.push(dispatches);
            self.alone.push(alone);
        }
        Ok(())
    }

    /// Binds a data set to the gather, once.
    pub fn bind_data(
        &mut self,
        gpu: &GpuDevice,
        steps: &Steps,
        arenas: &Arenas,
        (id, data): (DataId, &GpuData),
    ) -> Result<()> {
        if self.gathers.contains_key(&id) {
            return Ok(());
        }
        if let Some(call) = &self.gather {
            let dispatch = gpu.prepare(call, &steps.layout, |slot| {
                self.place(arenas, steps, Some(data), slot)
            })?;
            self.gathers.insert(id, dispatch);
        }
        Ok(())
    }

    /// The dispatches of some operations; with the reductions that complete each if `alone`.
    pub fn dispatches(
        &self,
        ops: Range<usize>,
        data: DataId,
        alone: bool,
    ) -> impl Iterator<Item = &Dispatch> {
        ops.flat_map(move |i| {
            let gather = match self.plan.ops[i] {
                Op::Gather { .. } => self.gathers.get(&data),
                _ => None,
            };
            let completion = self.alone[i].as_ref().filter(|_| alone);
            gather.into_iter().chain(&self.ops[i]).chain(completion)
        })
    }

    /// Where a buffer of the plan lies, and its bytes.
    pub fn location<'a>(&'a self, arenas: &'a Arenas, id: BufferId) -> (&'a Buffer, Range<u64>) {
        let bytes = 4 * self.plan.buffer(id).len() as u64;
        let (buffer, first) = match self.plan.buffer(id).role {
            Role::Parameter(i) => (&arenas.params, self.offset(i)),
            Role::Gradient(i) => (&arenas.gradients, self.offset(i)),
            Role::Input | Role::Intermediate => (self.buffers.get(&id).unwrap_or(&self.nothing), 0),
        };
        (buffer, first..first + bytes)
    }

    /// Where a parameter starts in its arena, in bytes.
    fn offset(&self, parameter: usize) -> u64 {
        4 * self.plan.layout.parameters[parameter].offset as u64
    }

    fn place<'a>(
        &'a self,
        arenas: &'a Arenas,
        steps: &'a Steps,
        data: Option<&'a GpuData>,
        slot: Slot,
    ) -> Place<'a> {
        let whole = |buffer| Place {
            buffer,
            range: None,
        };
        match slot {
            Slot::Buffer(id) => {
                let (buffer, range) = self.location(arenas, id);
                let bytes = (range.end - range.start).next_multiple_of(16);
                Place {
                    buffer,
                    range: Some((range.start, bytes)),
                }
            }
            Slot::Params => whole(&arenas.params),
            Slot::Gradients => whole(&arenas.gradients),
            Slot::Moment1 => whole(&arenas.moment_1),
            Slot::Moment2 => whole(&arenas.moment_2),
            Slot::Partials(first) => {
                let first = 4 * first as u64;
                Place {
                    buffer: &self.partials,
                    range: Some((first, self.partials.size() - first)),
                }
            }
            Slot::Blocks => whole(&self.blocks),
            Slot::Metrics => whole(&steps.metrics),
            Slot::Nothing => whole(&self.nothing),
            Slot::Images => whole(data.map_or(&self.nothing, |d| &d.images)),
            Slot::DataLabels => whole(data.map_or(&self.nothing, |d| &d.labels)),
            Slot::Order => whole(data.map_or(&self.nothing, |d| &d.order)),
        }
    }
}

impl GpuDevice {
    /// A storage buffer of at least so many bytes, zeroed.
    pub(super) fn storage(&self, label: &str, bytes: u64) -> Result<Buffer> {
        let limit = self
            .limits
            .max_buffer_size
            .min(self.limits.max_storage_buffer_binding_size);
        if bytes > limit {
            return Err(Error::Device(format!(
                "buffer `{label}` needs {} MiB, and the adapter allows {} MiB; use a smaller batch, image or data set",
                bytes.div_ceil(1 << 20),
                limit >> 20
            )));
        }
        let buffer = self.device.create_buffer(&BufferDescriptor {
            label: Some(label),
            size: bytes.max(16).next_multiple_of(16),
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.check()?;
        Ok(buffer)
    }
}

impl Element {
    /// Values from a buffer's bytes.
    pub(super) fn values(self, bytes: &[u8]) -> crate::exec::Values {
        match self {
            Self::F32 => crate::exec::Values::F32(bytemuck::pod_collect_to_vec(bytes)),
            Self::U32 => crate::exec::Values::U32(bytemuck::pod_collect_to_vec(bytes)),
        }
    }
}
