//! A plan on the device: its buffers and dispatches, created before the first step.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use wgpu::Buffer;

use super::buffers::Arenas;
use super::call::{Access, Call};
use super::data::GpuData;
use super::device::GpuDevice;
use super::dispatch::{Dispatch, Resource};
use super::fused_into::fused_into;
use super::lower::{Block, ImageParts, Lowered, LoweringMode, gather_of, reduce};
use super::operand::{Operand, OperandRange};
use super::software::image_copies::ImageCopies;
use super::steps::Steps;
use crate::error::{Error, Result};
use crate::exec::DataId;
use crate::plan::{BufferId, Element, Gather, Plan, Role};

/// A compiled plan.
pub struct GpuProgram {
    pub plan: Plan,
    /// Those of the plan's own buffers that a step binds or that were requested.
    buffers: HashMap<BufferId, Buffer>,
    nothing: Buffer,
    /// Size of the guard bound with each of them; see [`GpuDevice::guarded`].
    guard: u64,
    /// The gather's dispatches, which depend on the data set.
    gathers: HashMap<DataId, Dispatch>,
    /// The dispatches of a step.
    step: DispatchList,
    /// For each operation, the operation whose dispatches compute it in a step.
    pub fused_into: Vec<Option<usize>>,
    /// The dispatches of single operations, created on first request.
    alone: Option<DispatchList>,
}

/// The dispatches of a plan in one mode.
#[derive(Default)]
struct DispatchList {
    /// The dispatches of each operation; none for a gather or a fused operation.
    ops: Vec<Vec<Dispatch>>,
    /// The partial sums of its kernels.
    partials: Option<Buffer>,
}

/// Whether a buffer belongs to the plan rather than to an arena.
pub fn is_own(role: Role) -> bool {
    matches!(role, Role::Input | Role::Intermediate)
}

/// The plan's own buffers that calls bind; fusion leaves others unused.
pub fn bound(plan: &Plan, lowered: &Lowered) -> BTreeSet<BufferId> {
    let bindings = lowered.ops.iter().flatten().flat_map(|call| &call.bindings);
    let ids = bindings.filter_map(|(operand, _)| match operand {
        Operand::Buffer(id) => Some(*id),
        _ => None,
    });
    ids.filter(|id| is_own(plan.buffer(*id).role)).collect()
}

/// Scratch memory shared by the dispatches of a list.
struct Scratch {
    partials: Buffer,
    blocks: Buffer,
    arena: Buffer,
}

impl GpuProgram {
    /// Creates buffers, pipelines and bind groups for the calls of a step.
    pub fn new(
        gpu: &GpuDevice,
        steps: &Steps,
        arenas: &Arenas,
        plan: &Plan,
        mut lowered: Lowered,
    ) -> Result<Self> {
        let mut program = Self {
            plan: plan.clone(),
            buffers: HashMap::new(),
            nothing: gpu.storage("nothing", 16)?,
            guard: gpu.guard,
            gathers: HashMap::new(),
            step: DispatchList::default(),
            fused_into: fused_into(plan, &lowered.ops),
            alone: None,
        };
        for id in bound(plan, &lowered) {
            program.make(gpu, id)?;
        }
        lowered.leave_out_gather(plan);
        program.step = program.list_dispatches(gpu, steps, arenas, lowered, LoweringMode::Step)?;
        Ok(program)
    }

    /// Creates one of the plan's own buffers, zeroed, unless it exists or lies in an arena.
    ///
    /// # Errors
    /// The adapter lacks the memory.
    pub fn make(&mut self, gpu: &GpuDevice, id: BufferId) -> Result<()> {
        let buffer = self.plan.buffer(id);
        if is_own(buffer.role) && !self.buffers.contains_key(&id) {
            let made = gpu.storage(&buffer.name, 4 * buffer.len() as u64)?;
            self.buffers.insert(id, made);
        }
        Ok(())
    }

    /// Prepares single operations unless they are prepared already.
    pub fn prepare_alone(&mut self, gpu: &GpuDevice, steps: &Steps, arenas: &Arenas) -> Result<()> {
        if self.alone.is_none() {
            let mut lowered = Lowered::new(&self.plan, &gpu.tuning(), LoweringMode::Alone);
            for id in bound(&self.plan, &lowered) {
                self.make(gpu, id)?;
            }
            lowered.leave_out_gather(&self.plan);
            gpu.compile(lowered.ops.iter().flatten(), &steps.layout)?;
            self.alone =
                Some(self.list_dispatches(gpu, steps, arenas, lowered, LoweringMode::Alone)?);
        }
        Ok(())
    }

    fn list_dispatches(
        &self,
        gpu: &GpuDevice,
        steps: &Steps,
        arenas: &Arenas,
        lowered: Lowered,
        mode: LoweringMode,
    ) -> Result<DispatchList> {
        // On its own, an update reads whole gradients.
        let arena = match mode {
            LoweringMode::Alone => vec![Block::default(); lowered.arena(&self.plan).len()],
            LoweringMode::Step => lowered.arena(&self.plan),
        };
        let scratch = Scratch {
            partials: gpu.storage("partial sums", 4 * lowered.partials as u64)?,
            blocks: gpu.storage_with("blocks", bytemuck::cast_slice(&lowered.blocks))?,
            arena: gpu.storage_with("blocks of the arena", bytemuck::cast_slice(&arena))?,
        };
        let mut copies = ImageCopies::default();
        let mut prepare = |call: &Call<Operand>| {
            let dispatch = gpu.prepare(call, &steps.layout, |operand, access| {
                let place = self.place(arenas, steps, Extra::Scratch(&scratch), operand);
                Ok(match access {
                    Access::Read | Access::Write => place.resource(),
                    Access::Image(vector) => {
                        let (copy, stale) = copies.get(gpu, (operand, vector), place.range())?;
                        Resource::Image(copy, stale)
                    }
                })
            });
            for (operand, access) in &call.bindings {
                if *access == Access::Write {
                    copies.written(*operand);
                }
            }
            if mode == LoweringMode::Alone {
                // Any buffer may be written before the next operation runs.
                copies.expire();
            }
            dispatch
        };
        let mut list = DispatchList::default();
        for (calls, pending) in lowered.ops.iter().zip(lowered.pending) {
            let mut dispatches = calls.iter().map(&mut prepare).collect::<Result<Vec<_>>>()?;
            // In a step, the update sums the partial gradients.
            if mode == LoweringMode::Alone && !pending.is_empty() {
                dispatches.push(prepare(&reduce(&gpu.tuning(), pending))?);
            }
            list.ops.push(dispatches);
        }
        list.partials = Some(scratch.partials);
        Ok(list)
    }

    /// Binds a data set to the gather unless it is bound already.
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
        let parts = ImageParts {
            count: data.images.len(),
            images: data.images_per_part,
            floats: data.floats,
        };
        if let Some(call) = gather_of(&self.plan, &gpu.tuning(), parts) {
            let dispatch = gpu.prepare(&call, &steps.layout, |operand, _| {
                Ok(self
                    .place(arenas, steps, Extra::Data(data), operand)
                    .resource())
            })?;
            self.gathers.insert(id, dispatch);
        }
        Ok(())
    }

    /// Drops the references to a data set's buffers.
    pub fn unbind_data(&mut self, id: DataId) {
        self.gathers.remove(&id);
    }

    /// The dispatches of a whole step.
    pub fn step(&self, data: DataId) -> impl Iterator<Item = &Dispatch> {
        self.step_by_op(data).map(|(_, dispatch)| dispatch)
    }

    /// The dispatches of a step, without the gather.
    pub fn step_without_gather(&self) -> impl Iterator<Item = &Dispatch> {
        self.step.ops.iter().flatten()
    }

    /// The dispatches of a whole step, each with the index of its operation.
    pub fn step_by_op(&self, data: DataId) -> impl Iterator<Item = (usize, &Dispatch)> {
        self.list(&self.step, 0..self.plan.ops.len(), data)
    }

    /// The dispatches of some single operations; see [`GpuProgram::prepare_alone`].
    pub fn alone(&self, ops: Range<usize>, data: DataId) -> impl Iterator<Item = &Dispatch> {
        let list = self.alone.iter();
        let listed = list.flat_map(move |list| self.list(list, ops.clone(), data));
        listed.map(|(_, dispatch)| dispatch)
    }

    fn list<'a>(
        &'a self,
        list: &'a DispatchList,
        ops: Range<usize>,
        data: DataId,
    ) -> impl Iterator<Item = (usize, &'a Dispatch)> {
        ops.flat_map(move |i| {
            let gather = self.plan.ops[i].downcast::<Gather>();
            let gather = gather.and_then(|_| self.gathers.get(&data));
            let dispatches = gather.into_iter().chain(&list.ops[i]);
            dispatches.map(move |dispatch| (i, dispatch))
        })
    }

    /// Checks on a guarded device that kernels kept to their buffers.
    ///
    /// # Errors
    /// A kernel wrote past the end of a buffer, or the device failed.
    pub fn intact(&self, gpu: &GpuDevice, arenas: &Arenas) -> Result<()> {
        let own = self.buffers.iter();
        let own = own.map(|(&id, buffer)| (self.plan.buffer(id).name.as_str(), buffer));
        let shared = [
            ("parameters", &arenas.params),
            ("gradients", &arenas.gradients),
            ("first moments", &arenas.moment_1),
            ("second moments", &arenas.moment_2),
            ("average", &arenas.average),
        ];
        let lists = [Some(&self.step), self.alone.as_ref()]
            .into_iter()
            .flatten();
        let partials = lists.filter_map(|l| Some(("partial sums", l.partials.as_ref()?)));
        for (name, buffer) in own.chain(shared).chain(partials) {
            if !gpu.is_intact(buffer)? {
                return Err(Error::device(format!(
                    "a kernel wrote past the end of `{name}`"
                )));
            }
        }
        Ok(())
    }

    /// The location of a buffer of the plan, in bytes.
    pub fn location<'a>(&'a self, arenas: &'a Arenas, id: BufferId) -> (&'a Buffer, Range<u64>) {
        let bytes = 4 * self.plan.buffer(id).len() as u64;
        let OperandRange { whole, start, .. } = Operand::Buffer(id).range(&self.plan);
        let buffer = match whole {
            Operand::Params => &arenas.params,
            Operand::Gradients => &arenas.gradients,
            _ => self.buffers.get(&id).unwrap_or(&self.nothing),
        };
        (buffer, start..start + bytes)
    }

    fn place<'a>(
        &'a self,
        arenas: &'a Arenas,
        steps: &'a Steps,
        extra: Extra<'a>,
        operand: Operand,
    ) -> BoundBuffer<'a> {
        let OperandRange {
            whole,
            start,
            bytes,
        } = operand.range(&self.plan);
        let (data, scratch) = match extra {
            Extra::Data(data) => (Some(data), None),
            Extra::Scratch(scratch) => (None, Some(scratch)),
        };
        let mut guard = 0;
        let found = match whole {
            Operand::Buffer(id) => {
                let own = self.buffers.get(&id);
                guard = own.map_or(0, |_| self.guard);
                own
            }
            Operand::Params => Some(&arenas.params),
            Operand::Gradients => Some(&arenas.gradients),
            Operand::Moment1 => Some(&arenas.moment_1),
            Operand::Moment2 => Some(&arenas.moment_2),
            Operand::Average => Some(&arenas.average),
            Operand::Partials(_) => scratch.map(|s| &s.partials),
            Operand::Blocks => scratch.map(|s| &s.blocks),
            Operand::Arena => scratch.map(|s| &s.arena),
            Operand::Metrics => Some(&steps.metrics),
            Operand::Nothing => None,
            Operand::Images(part) => data.and_then(|d| d.images.get(part)),
            Operand::DataLabels => data.map(|d| &d.labels),
            Operand::Order => data.map(|d| &d.order),
        };
        let buffer = found.unwrap_or(&self.nothing);
        let bytes = bytes.map_or(buffer.size().saturating_sub(start), |bytes| bytes + guard);
        BoundBuffer(buffer, (start, bytes))
    }
}

/// A buffer to bind, with the start and size in bytes of what is bound of it.
#[derive(Clone, Copy)]
struct BoundBuffer<'a>(&'a Buffer, (u64, u64));

impl<'a> BoundBuffer<'a> {
    fn resource(self) -> Resource<'a> {
        Resource::Buffer(self.0, Some(self.1))
    }

    /// The buffer, with the start and size of what is bound of it.
    fn range(self) -> (&'a Buffer, u64, u64) {
        let (offset, bytes) = self.1;
        (self.0, offset, bytes)
    }
}

/// What a call may bind in addition to the plan's buffers.
#[derive(Clone, Copy)]
enum Extra<'a> {
    Data(&'a GpuData),
    Scratch(&'a Scratch),
}

impl Element {
    /// Converts a buffer's bytes.
    pub(super) fn values(self, bytes: &[u8]) -> crate::exec::Values {
        match self {
            Self::F32 => crate::exec::Values::F32(bytemuck::pod_collect_to_vec(bytes)),
            Self::U32 => crate::exec::Values::U32(bytemuck::pod_collect_to_vec(bytes)),
        }
    }
}
