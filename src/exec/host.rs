//! The parts shared by the executors in main memory: buffers, data sets and the loop over
//! operations.
//!
//! This module is internal: it may change in any version.
//!
//! The reference and the fast CPU path differ only in their [`Kernels`].

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{
    BatchPart, DataId, Description, Executor, GradientSum, Inspect, Program, Step, StepMetrics,
    Values, loaded, loaded_mut,
};
use crate::data::Dataset;
use crate::data::dataset::PixelValues;
use crate::error::{Error, Result};
use crate::optimizer::Rates;
use crate::plan::{BufferId, Element, Op, Plan, Role};
use crate::rng::Key;
use crate::state::{Layout, State};

/// The arithmetic of a host executor.
pub trait Kernels: Send {
    /// Describes the device.
    fn describe(&self) -> Description;

    /// Runs one operation.
    fn run(&mut self, op: &Op, memory: &mut Memory<'_>);

    /// Runs operations in order. Kernels that gain from running several together, for example by
    /// keeping a few rows in cache from the first operation to the last, override this.
    fn run_all(&mut self, ops: &[Op], memory: &mut Memory<'_>) {
        for op in ops {
            self.run(op, memory);
        }
    }

    /// Runs all operations of a plan in order. Tensors that none of the other operations needs may
    /// be left as they are.
    fn run_step(&mut self, plan: &Plan, memory: &mut Memory<'_>) {
        self.run_all(&plan.ops, memory);
    }

    /// For each operation of a plan, the operation whose kernels compute it in
    /// [`Kernels::run_step`]; empty if each has its own kernels.
    fn fused_into(&self, _plan: &Plan) -> Vec<Option<usize>> {
        Vec::new()
    }
}

/// An executor whose tensors lie in main memory.
pub struct HostExecutor<K> {
    kernels: K,
    layout: Arc<Layout>,
    /// Parameters, gradients and moments, one array per parameter.
    params: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    /// Partial sums of gradients of micro-batches; see [`GradientSum`].
    sums: Vec<Vec<Vec<f32>>>,
    moments: Vec<Moments>,
    programs: Vec<HostProgram>,
    /// The data sets by number; none where one was unloaded.
    data: Vec<Option<HostData>>,
    metrics: Vec<StepMetrics>,
}

/// The optimizer's moments of one parameter.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    /// First moment, or momentum.
    pub m: Vec<f32>,
    /// Second moment.
    pub v: Vec<f32>,
    /// Moving average of the weights.
    pub average: Vec<f32>,
}

struct HostProgram {
    plan: Plan,
    floats: HashMap<BufferId, Vec<f32>>,
    words: HashMap<BufferId, Vec<u32>>,
}

struct HostData {
    /// Bytes of images, and number of labels, when first loaded.
    room: [usize; 2],
    samples: Dataset,
    order: Vec<u32>,
}

/// An operation's view of the executor: the buffers by number, the step's values and the data set.
///
/// To write a buffer, [`Memory::take`] it, fill it, and [`Memory::put`] it back; the others can be
/// read in the meantime.
pub struct Memory<'a> {
    /// Rows in the plan's batch.
    pub batch: usize,
    /// Valid rows.
    pub rows: usize,
    /// Which rows of the batch they are.
    pub part: BatchPart,
    /// The optimizer's rates for this step.
    pub rates: Rates,
    /// The key of the step's random draws.
    pub key: Key,
    /// The step's metrics.
    pub metrics: &'a mut StepMetrics,
    /// The optimizer's moments, by parameter.
    pub moments: &'a mut Vec<Moments>,
    order: &'a [u32],
    images: PixelValues<'a>,
    labels: &'a [u8],
    plan: &'a Plan,
    params: &'a mut Vec<Vec<f32>>,
    gradients: &'a mut Vec<Vec<f32>>,
    floats: &'a mut HashMap<BufferId, Vec<f32>>,
    words: &'a mut HashMap<BufferId, Vec<u32>>,
}

impl Memory<'_> {
    /// The pixels and the label of each valid row, in the batch's order.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (PixelValues<'_>, u8)> {
        (0..self.order.len()).map(|row| self.sample(row))
    }

    /// The pixels and the label of one valid row.
    pub(crate) fn sample(&self, row: usize) -> (PixelValues<'_>, u8) {
        let size: usize = self.plan.input_shape.iter().product();
        let i = self.order[row] as usize;
        (self.images.image(i, size), self.labels[i])
    }

    /// The index of a parameter's buffer in the layout and in [`Memory::moments`].
    pub fn parameter(&self, id: BufferId) -> Option<usize> {
        match self.plan.buffer(id).role {
            Role::Parameter(i) => Some(i),
            Role::Gradient(_) | Role::Input | Role::Intermediate => None,
        }
    }

    /// The element type of a buffer.
    pub fn element(&self, id: BufferId) -> Element {
        self.plan.buffer(id).element
    }

    /// A float buffer.
    pub fn floats(&self, id: BufferId) -> &[f32] {
        match self.plan.buffer(id).role {
            Role::Parameter(i) => &self.params[i],
            Role::Gradient(i) => &self.gradients[i],
            Role::Input | Role::Intermediate => self.floats.get(&id).map_or(&[], Vec::as_slice),
        }
    }

    /// A buffer of words.
    pub fn words(&self, id: BufferId) -> &[u32] {
        self.words.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Takes out a float buffer to write it.
    pub fn take(&mut self, id: BufferId) -> Vec<f32> {
        std::mem::take(self.slot(id))
    }

    /// Puts a float buffer back.
    pub fn put(&mut self, id: BufferId, values: Vec<f32>) {
        *self.slot(id) = values;
    }

    /// Takes out a buffer of words to write it.
    pub fn take_words(&mut self, id: BufferId) -> Vec<u32> {
        self.words.remove(&id).unwrap_or_default()
    }

    /// Puts a buffer of words back.
    pub fn put_words(&mut self, id: BufferId, values: Vec<u32>) {
        self.words.insert(id, values);
    }

    fn slot(&mut self, id: BufferId) -> &mut Vec<f32> {
        match self.plan.buffer(id).role {
            Role::Parameter(i) => &mut self.params[i],
            Role::Gradient(i) => &mut self.gradients[i],
            Role::Input | Role::Intermediate => self.floats.entry(id).or_default(),
        }
    }
}

impl<K: Kernels> HostExecutor<K> {
    /// An executor for models with this layout, with all parameters zero.
    pub fn new(kernels: K, layout: Arc<Layout>) -> Self {
        let zeros = || -> Vec<Vec<f32>> {
            let lengths = layout.parameters.iter().map(|p| p.len());
            lengths.map(|n| vec![0.0; n]).collect()
        };
        let moments = layout.parameters.iter().map(|p| Moments {
            m: vec![0.0; p.len()],
            v: vec![0.0; p.len()],
            average: vec![0.0; p.len()],
        });
        Self {
            kernels,
            params: zeros(),
            gradients: zeros(),
            sums: Vec::new(),
            moments: moments.collect(),
            programs: Vec::new(),
            data: Vec::new(),
            metrics: Vec::new(),
            layout,
        }
    }

    /// Runs some operations of a step, or all of it.
    fn execute(&mut self, some: Option<Range<usize>>, step: &Step) -> Result<StepMetrics> {
        let program = &mut self.programs[step.program.0];
        // Only the gather needs a data set.
        let first = some.as_ref().map_or(0, |ops| ops.start);
        let gathers = first == 0 && matches!(program.plan.ops.first(), Some(Op::Gather(_)));
        let (images, labels, order): (PixelValues<'_>, &[u8], &[u32]) = if gathers {
            let data = loaded(&self.data, step.data)?;
            let range = step.offset..step.offset + step.rows;
            let order = data.order.get(range.clone()).ok_or_else(|| {
                Error::Argument(format!(
                    "rows {range:?} lie outside the data set's order of {}",
                    data.order.len()
                ))
            })?;
            (data.samples.pixels(), data.samples.labels(), order)
        } else {
            (PixelValues::Bytes(&[]), &[], &[])
        };
        let mut metrics = StepMetrics {
            rows: step.rows as u32,
            ..StepMetrics::default()
        };
        let mut memory = Memory {
            batch: program.plan.batch,
            rows: step.rows,
            part: step.part,
            rates: step.rates,
            key: step.key,
            metrics: &mut metrics,
            moments: &mut self.moments,
            order,
            images,
            labels,
            plan: &program.plan,
            params: &mut self.params,
            gradients: &mut self.gradients,
            floats: &mut program.floats,
            words: &mut program.words,
        };
        match some {
            Some(ops) => self.kernels.run_all(&program.plan.ops[ops], &mut memory),
            None => self.kernels.run_step(&program.plan, &mut memory),
        }
        Ok(metrics)
    }

    /// Adds waiting sums to the gradients, and keeps the sum.
    fn sum(&mut self, sum: GradientSum) {
        for place in sum.added() {
            let pairs = self.gradients.iter_mut().zip(&self.sums[place]);
            for (gradient, waiting) in pairs {
                for (g, w) in gradient.iter_mut().zip(waiting) {
                    *g += *w;
                }
            }
        }
        if let Some(place) = sum.place() {
            if place == self.sums.len() {
                self.sums.push(self.gradients.clone());
            } else {
                self.sums[place].clone_from(&self.gradients);
            }
        }
    }
}

impl<K: Kernels> Executor for HostExecutor<K> {
    fn describe(&self) -> Description {
        self.kernels.describe()
    }

    fn fits(&self, plans: &[&Plan]) -> Result<()> {
        let own: u64 = plans.iter().map(|plan| plan.own_bytes()).sum();
        let arenas = 4 * crate::state::ARENAS * self.layout.len;
        crate::memory::check("the tensors", own + arenas as u64)
    }

    fn compile(&mut self, plan: &Plan) -> Result<Program> {
        super::check_layout(&self.layout, plan)?;
        let floats = plan.buffers.iter().map(crate::plan::Buffer::len).sum();
        crate::state::check_memory("the tensors of a batch", floats)?;
        let (mut floats, mut words) = (HashMap::new(), HashMap::new());
        for (i, buffer) in plan.buffers.iter().enumerate() {
            match (buffer.role, buffer.element) {
                (Role::Parameter(_) | Role::Gradient(_), _) => {}
                (_, Element::F32) => {
                    floats.insert(BufferId(i), vec![0.0; buffer.len()]);
                }
                (_, Element::U32) => {
                    words.insert(BufferId(i), vec![0; buffer.len()]);
                }
            }
        }
        self.programs.push(HostProgram {
            plan: plan.clone(),
            floats,
            words,
        });
        Ok(Program(self.programs.len() - 1))
    }

    fn upload(&mut self, state: &State) -> Result<()> {
        for (i, p) in self.layout.parameters.iter().enumerate() {
            self.params[i].copy_from_slice(&state.params[p.range()]);
            let Moments { m, v, average } = &mut self.moments[i];
            for (to, from) in [(m, &state.m), (v, &state.v), (average, &state.average)] {
                match from.get(p.range()) {
                    Some(values) => to.copy_from_slice(values),
                    None => to.fill(0.0),
                }
            }
        }
        Ok(())
    }

    fn download(&mut self, state: &mut State) -> Result<()> {
        state.make_moments();
        for (i, p) in self.layout.parameters.iter().enumerate() {
            state.params[p.range()].copy_from_slice(&self.params[i]);
            let Moments { m, v, average } = &self.moments[i];
            for (from, to) in [
                (m, &mut state.m),
                (v, &mut state.v),
                (average, &mut state.average),
            ] {
                if let Some(values) = to.get_mut(p.range()) {
                    values.copy_from_slice(from);
                }
            }
        }
        Ok(())
    }

    fn load(&mut self, data: &Dataset) -> Result<DataId> {
        let bytes = data.pixels().memory().len();
        // Floats are only shared.
        if !data.pixels().are_floats() {
            crate::memory::check("the data set", bytes as u64)?;
        }
        self.data.push(Some(HostData {
            room: [bytes, data.len()],
            samples: data.clone(),
            order: (0..data.len() as u32).collect(),
        }));
        Ok(DataId(self.data.len() - 1))
    }

    fn reload(&mut self, data: DataId, samples: &Dataset) -> Result<()> {
        // All steps enqueued earlier have run.
        let loaded = loaded_mut(&mut self.data, data)?;
        super::check_reload(loaded.room, samples)?;
        loaded.samples = samples.clone();
        loaded.order = (0..samples.len() as u32).collect();
        Ok(())
    }

    fn order(&mut self, data: DataId, order: &[u32]) -> Result<()> {
        loaded_mut(&mut self.data, data)?.order = order.to_vec();
        Ok(())
    }

    fn unload(&mut self, data: DataId) -> Result<()> {
        loaded(&self.data, data)?;
        self.data[data.0] = None;
        Ok(())
    }

    fn enqueue(&mut self, step: &Step) -> Result<()> {
        let metrics = self.execute(None, step)?;
        self.metrics.push(metrics);
        self.sum(step.sum);
        Ok(())
    }

    fn completed(&mut self, _wait: bool) -> Result<Vec<StepMetrics>> {
        Ok(std::mem::take(&mut self.metrics))
    }

    fn predictions(&mut self, program: Program) -> Result<Vec<f32>> {
        let id = self.programs[program.0].plan.predictions()?;
        Ok(self.read(program, id)?.into_f32())
    }

    fn gradients(&mut self) -> Result<Vec<f32>> {
        let mut arena = vec![0.0; self.layout.len];
        for (p, gradient) in self.layout.parameters.iter().zip(&self.gradients) {
            arena[p.range()].copy_from_slice(gradient);
        }
        Ok(arena)
    }

    fn set_gradients(&mut self, values: &[f32], sum: GradientSum) -> Result<()> {
        super::check_gradients(&self.layout, values)?;
        for (p, gradient) in self.layout.parameters.iter().zip(&mut self.gradients) {
            gradient.copy_from_slice(&values[p.range()]);
        }
        self.sum(sum);
        Ok(())
    }

    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        Some(self)
    }
}

impl<K: Kernels> Inspect for HostExecutor<K> {
    fn run(&mut self, ops: Range<usize>, step: &Step) -> Result<()> {
        let metrics = self.execute(Some(ops), step)?;
        self.metrics.push(metrics);
        Ok(())
    }

    fn fused_into(&self, program: Program) -> Vec<Option<usize>> {
        self.kernels.fused_into(&self.programs[program.0].plan)
    }

    fn write(&mut self, program: Program, id: BufferId, values: &Values) -> Result<()> {
        let host = &mut self.programs[program.0];
        let buffer = host.plan.buffer(id);
        super::check_values(buffer, values)?;
        match (buffer.role, values) {
            (Role::Parameter(i), Values::F32(v)) => self.params[i].copy_from_slice(v),
            (Role::Gradient(i), Values::F32(v)) => self.gradients[i].copy_from_slice(v),
            (_, Values::F32(v)) => {
                host.floats.insert(id, v.clone());
            }
            (_, Values::U32(v)) => {
                host.words.insert(id, v.clone());
            }
        }
        Ok(())
    }

    fn read(&mut self, program: Program, id: BufferId) -> Result<Values> {
        let host = &self.programs[program.0];
        let buffer = host.plan.buffer(id);
        Ok(match (buffer.role, buffer.element) {
            (Role::Parameter(i), _) => Values::F32(self.params[i].clone()),
            (Role::Gradient(i), _) => Values::F32(self.gradients[i].clone()),
            (_, Element::F32) => Values::F32(host.floats.get(&id).cloned().unwrap_or_default()),
            (_, Element::U32) => Values::U32(host.words.get(&id).cloned().unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;
    use crate::exec::reference::Reference;
    use crate::model::preset;

    #[test]
    fn a_loaded_data_set_is_shared_and_not_copied() {
        let layout = Layout::new(&preset("mnist-mlp").unwrap()).unwrap();
        let mut executor = HostExecutor::new(Reference, layout);
        let (first, second) = (digits::generate(4, 1, 0), digits::generate(3, 1, 9));
        let pixels = |executor: &HostExecutor<Reference>| {
            let loaded = executor.data[0].as_ref().unwrap();
            loaded.samples.images().as_ptr()
        };
        let id = executor.load(&first).unwrap();
        assert_eq!(pixels(&executor), first.images().as_ptr());
        executor.reload(id, &second).unwrap();
        assert_eq!(pixels(&executor), second.images().as_ptr());
        executor.unload(id).unwrap();
        assert!(executor.order(id, &[0]).is_err());
    }
}
