//! A plan on the device: its buffers and its dispatches, all made before the first step.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use wgpu::Buffer;

use super::buffers::Arenas;
use super::call::{Access, Call, Dispatch, Place};
use super::data::GpuData;
use super::device::GpuDevice;
use super::fused_into::carriers;
use super::lower::{Block, Lowered, Mode, Slot, gather_of};
use super::software::image_copies::{Texel, Texels};
use super::steps::Steps;
use crate::error::{Error, Result};
use crate::exec::DataId;
use crate::memory;
use crate::plan::{BufferId, Element, Op, Plan, Role};
use crate::state::ARENAS;

/// A compiled plan.
pub struct GpuProgram {
    pub plan: Plan,
    buffers: HashMap<BufferId, Buffer>,
    nothing: Buffer,
    /// Bytes behind each of them that are bound with it; see [`GpuDevice::guarded`].
    guard: u64,
    /// The gather's dispatches, which depend on the data set.
    gathers: HashMap<DataId, Dispatch>,
    /// What a step runs.
    step: Listing,
    /// For each operation the one in whose dispatches of a step it is done.
    pub carriers: Vec<Option<usize>>,
    /// What single operations run, made when first asked for.
    alone: Option<Listing>,
}

/// The dispatches of a plan in one mode.
#[derive(Default)]
struct Listing {
    /// For each operation its dispatches; none for a gather or for what is fused with another.
    ops: Vec<Vec<Dispatch>>,
    /// Where its kernels leave partial gradients.
    partials: Option<Buffer>,
}

/// Whether a buffer is the plan's, and does not lie in an arena.
fn is_own(role: Role) -> bool {
    matches!(role, Role::Input | Role::Intermediate)
}

/// Scratch that a listing's dispatches share.
struct Scratch {
    partials: Buffer,
    blocks: Buffer,
    arena: Buffer,
}

impl GpuProgram {
    /// Makes buffers, pipelines and bind groups for the calls of a step.
    pub fn new(
        gpu: &GpuDevice,
        steps: &Steps,
        arenas: &Arenas,
        plan: &Plan,
        mut lowered: Lowered,
    ) -> Result<Self> {
        let mut buffers = HashMap::new();
        for (i, buffer) in plan.buffers.iter().enumerate() {
            if is_own(buffer.role) {
                let bytes = 4 * buffer.len() as u64;
                let made = gpu.storage(&buffer.name, bytes)?;
                buffers.insert(BufferId(i), made);
            }
        }
        let mut program = Self {
            plan: plan.clone(),
            buffers,
            nothing: gpu.storage("nothing", 16)?,
            guard: gpu.guard,
            gathers: HashMap::new(),
            step: Listing::default(),
            carriers: Vec::new(),
            alone: None,
        };
        program.carriers = carriers(plan, &lowered.ops);
        lowered.leave_out_gather(plan);
        program.step = program.listing(gpu, steps, arenas, lowered, Mode::Step)?;
        Ok(program)
    }

    /// Prepares single operations, unless that was done before.
    pub fn prepare_alone(&mut self, gpu: &GpuDevice, steps: &Steps, arenas: &Arenas) -> Result<()> {
        if self.alone.is_none() {
            let mut lowered = Lowered::new(&self.plan, &gpu.tuning(), Mode::Alone);
            lowered.leave_out_gather(&self.plan);
            gpu.compile(&lowered, &steps.layout)?;
            self.alone = Some(self.listing(gpu, steps, arenas, lowered, Mode::Alone)?);
        }
        Ok(())
    }

    fn listing(
        &self,
        gpu: &GpuDevice,
        steps: &Steps,
        arenas: &Arenas,
        lowered: Lowered,
        mode: Mode,
    ) -> Result<Listing> {
        // By itself an update takes the gradients as they are.
        let arena = match mode {
            Mode::Alone => vec![Block::default(); lowered.arena(&self.plan).len()],
            Mode::Step => lowered.arena(&self.plan),
        };
        let scratch = Scratch {
            partials: gpu.storage("partial gradients", 4 * lowered.partials as u64)?,
            blocks: gpu.storage_with("blocks", bytemuck::cast_slice(&lowered.blocks))?,
            arena: gpu.storage_with("blocks of the arena", bytemuck::cast_slice(&arena))?,
        };
        let mut twins = Twins::default();
        let mut prepare = |call: &Call<Slot>| {
            let dispatch = gpu.prepare(call, &steps.layout, |slot, access| {
                let place = self.place(arenas, steps, Source::Scratch(&scratch), slot);
                match access {
                    Access::Read | Access::Write => Ok(place),
                    Access::Texels(texel) => twins.get(gpu, (slot, texel), &place),
                }
            });
            for (slot, access) in &call.bindings {
                if *access == Access::Write {
                    twins.written(*slot);
                }
            }
            if mode == Mode::Alone {
                // Anybody may write anything before the next operation runs.
                twins.fresh.clear();
            }
            dispatch
        };
        let mut listing = Listing::default();
        for (calls, pending) in lowered.ops.iter().zip(lowered.pending) {
            let mut dispatches = calls.iter().map(&mut prepare).collect::<Result<Vec<_>>>()?;
            // In a step the update sums all partial gradients.
            if mode == Mode::Alone && !pending.is_empty() {
                dispatches.push(prepare(&Lowered::reduce(&gpu.tuning(), pending))?);
            }
            listing.ops.push(dispatches);
        }
        listing.partials = Some(scratch.partials);
        Ok(listing)
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
        if let Some(call) = gather_of(&self.plan, (data.images.len(), data.images_per_part)) {
            let dispatch = gpu.prepare(&call, &steps.layout, |slot, _| {
                Ok(self.place(arenas, steps, Source::Data(data), slot))
            })?;
            self.gathers.insert(id, dispatch);
        }
        Ok(())
    }

    /// The dispatches of a whole step.
    pub fn step(&self, data: DataId) -> impl Iterator<Item = &Dispatch> {
        self.step_by_op(data).map(|(_, dispatch)| dispatch)
    }

    /// The dispatches of a step but the one that depends on the data set.
    pub fn step_without_gather(&self) -> impl Iterator<Item = &Dispatch> {
        self.step.ops.iter().flatten()
    }

    /// The dispatches of a whole step, each with the operation in whose list it stands.
    pub fn step_by_op(&self, data: DataId) -> impl Iterator<Item = (usize, &Dispatch)> {
        self.list(&self.step, 0..self.plan.ops.len(), data)
    }

    /// The dispatches of some operations by themselves; see [`GpuProgram::prepare_alone`].
    pub fn alone(&self, ops: Range<usize>, data: DataId) -> impl Iterator<Item = &Dispatch> {
        let listing = self.alone.iter();
        let listed = listing.flat_map(move |listing| self.list(listing, ops.clone(), data));
        listed.map(|(_, dispatch)| dispatch)
    }

    fn list<'a>(
        &'a self,
        listing: &'a Listing,
        ops: Range<usize>,
        data: DataId,
    ) -> impl Iterator<Item = (usize, &'a Dispatch)> {
        ops.flat_map(move |i| {
            let gather = match self.plan.ops[i] {
                Op::Gather(_) => self.gathers.get(&data),
                _ => None,
            };
            let dispatches = gather.into_iter().chain(&listing.ops[i]);
            dispatches.map(move |dispatch| (i, dispatch))
        })
    }

    /// Whether the kernels kept to their buffers, on a guarded device.
    ///
    /// # Errors
    /// They did not, or the device failed.
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
        let listings = [Some(&self.step), self.alone.as_ref()]
            .into_iter()
            .flatten();
        let partials = listings.filter_map(|l| Some(("partial gradients", l.partials.as_ref()?)));
        for (name, buffer) in own.chain(shared).chain(partials) {
            if !gpu.is_intact(buffer)? {
                return Err(Error::Device(format!(
                    "a kernel wrote past the end of `{name}`"
                )));
            }
        }
        Ok(())
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
        source: Source<'a>,
        slot: Slot,
    ) -> Place<'a> {
        let (data, scratch) = match source {
            Source::Data(data) => (Some(data), None),
            Source::Scratch(scratch) => (None, Some(scratch)),
        };
        let partials = scratch.map_or(&self.nothing, |s| &s.partials);
        let whole = |buffer| Place::Buffer(buffer, None);
        match slot {
            Slot::Buffer(id) => {
                let (buffer, range) = self.location(arenas, id);
                let bytes = (range.end - range.start).next_multiple_of(16);
                let guard = match self.buffers.contains_key(&id) {
                    true => self.guard,
                    false => 0,
                };
                Place::Buffer(buffer, Some((range.start, bytes + guard)))
            }
            Slot::Params => whole(&arenas.params),
            Slot::Gradients => whole(&arenas.gradients),
            Slot::Moment1 => whole(&arenas.moment_1),
            Slot::Moment2 => whole(&arenas.moment_2),
            Slot::Average => whole(&arenas.average),
            Slot::Partials(first) => {
                let first = 4 * first as u64;
                Place::Buffer(partials, Some((first, partials.size() - first)))
            }
            Slot::Blocks => whole(scratch.map_or(&self.nothing, |s| &s.blocks)),
            Slot::Arena => whole(scratch.map_or(&self.nothing, |s| &s.arena)),
            Slot::Metrics => whole(&steps.metrics),
            Slot::Nothing => whole(&self.nothing),
            Slot::Images(part) => {
                let part = data.and_then(|d| d.images.get(part));
                whole(part.unwrap_or(&self.nothing))
            }
            Slot::DataLabels => whole(data.map_or(&self.nothing, |d| &d.labels)),
            Slot::Order => whole(data.map_or(&self.nothing, |d| &d.order)),
        }
    }
}

/// The copies in images that a listing's dispatches read.
#[derive(Default)]
struct Twins {
    made: HashMap<(Slot, Texel), Arc<Texels>>,
    /// Those that hold what the buffer holds at this point of the listing.
    fresh: HashSet<(Slot, Texel)>,
}

impl Twins {
    /// The copy of what lies at `place`, and whether it has to be made anew.
    fn get<'a>(
        &mut self,
        gpu: &GpuDevice,
        key: (Slot, Texel),
        place: &Place<'a>,
    ) -> Result<Place<'a>> {
        let (buffer, offset, bytes) = match place {
            Place::Buffer(buffer, Some((offset, bytes))) => (*buffer, *offset, *bytes),
            Place::Buffer(buffer, None) => (*buffer, 0, buffer.size()),
            Place::Texels(texels, stale) => return Ok(Place::Texels(Arc::clone(texels), *stale)),
        };
        let texels = match self.made.get(&key) {
            Some(texels) => Arc::clone(texels),
            None => Texels::new(gpu, "copy of a tensor", (buffer, offset, bytes), key.1)?,
        };
        self.made.insert(key, Arc::clone(&texels));
        Ok(Place::Texels(texels, self.fresh.insert(key)))
    }

    /// What is copied of this slot is out of date.
    fn written(&mut self, slot: Slot) {
        match slot {
            // Arenas are bound whole and in parts.
            Slot::Params | Slot::Gradients => self.fresh.clear(),
            Slot::Partials(_) => {
                let partials = |other: &Slot| matches!(other, Slot::Partials(_));
                self.fresh.retain(|(other, _)| !partials(other));
            }
            _ => self.fresh.retain(|(other, _)| *other != slot),
        }
    }
}

/// What a call may bind beside the plan's buffers.
#[derive(Clone, Copy)]
enum Source<'a> {
    Data(&'a GpuData),
    Scratch(&'a Scratch),
}

impl GpuDevice {
    /// Whether plans keep to the adapter's limits. How much memory a GPU has cannot be asked; what a
    /// software adapter has is the machine's.
    pub(super) fn fits(&self, plans: &[&Plan]) -> Result<()> {
        let needs = self.needs(plans)?;
        match self.describe().software {
            true => memory::check("the tensors", needs),
            false => Ok(()),
        }
    }

    /// The bytes that plans of one model take side by side, each buffer within the adapter's limits.
    pub(super) fn needs(&self, plans: &[&Plan]) -> Result<u64> {
        let mut total = 0;
        for plan in plans {
            total += self.bytes_of(plan)?;
        }
        if let Some(plan) = plans.first() {
            let arena = 4 * plan.layout.len as u64;
            self.check_size("parameters", arena)?;
            total += ARENAS as u64 * arena;
        }
        Ok(total)
    }

    /// The bytes that a plan takes beside the arenas, each buffer within the adapter's limits.
    fn bytes_of(&self, plan: &Plan) -> Result<u64> {
        let lowered = Lowered::new(plan, &self.tuning(), Mode::Step);
        let own = plan.buffers.iter().filter(|b| is_own(b.role));
        let own = own.map(|b| (b.name.as_str(), 4 * b.len() as u64));
        let partials = ("partial gradients", 4 * lowered.partials as u64);
        let mut total = 0;
        for (name, bytes) in own.chain([partials]) {
            self.check_size(name, bytes)?;
            total += bytes;
        }
        let bindings = lowered.ops.iter().flatten().flat_map(|call| &call.bindings);
        let mut copies = HashSet::new();
        for (slot, access) in bindings {
            if let (Slot::Buffer(id), Access::Texels(texel)) = (slot, access) {
                let buffer = plan.buffer(*id);
                let bytes = 4 * buffer.len() as u64;
                texel.check_rows(self, &buffer.name, bytes)?;
                total += if copies.insert((*slot, *texel)) {
                    bytes
                } else {
                    0
                };
            }
        }
        Ok(total)
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
