//! A case: one operation with its inputs.

use std::sync::Arc;

use crate::data::Dataset;
use crate::exec::{BatchPart, Values};
use crate::model::Initializer;
use crate::optimizer::Rates;
use crate::plan::{Buffer, BufferId, Element, Op, Plan, PlanPart, Role};
use crate::rng::{Key, Stream};
use crate::state::{Layout, State};

/// A plan of one operation, with everything that it reads.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation and its sizes: `dense_forward n=3 in=7 ...`. A failing test prints it, and any
    /// of its words can be passed as a filter.
    pub vars: String,
    /// The operation and its buffers.
    pub plan: Plan,
    /// The buffers that it reads, except for parameters, which are in `state`.
    pub inputs: Vec<(BufferId, Values)>,
    /// Parameters and moments before the operation.
    pub state: State,
    /// The input of a gather.
    pub source: Option<GatherSource>,
    /// Valid rows.
    pub rows: usize,
    /// Which rows of the batch they are.
    pub part: BatchPart,
    /// The coefficients of the optimizer step.
    pub rates: Rates,
    /// If set, the error of each element is relative to its magnitude or to this value, whichever
    /// is larger. If not, all errors are relative to the largest element.
    pub smallest: Option<f64>,
}

/// A data set and a position in its order.
#[derive(Clone, Debug)]
pub struct GatherSource {
    /// The samples.
    pub data: Dataset,
    /// The order in which the samples are read.
    pub order: Vec<u32>,
    /// The position of the batch's first sample in the order.
    pub offset: usize,
}

impl Case {
    /// The operation.
    pub fn op(&self) -> &Op {
        &self.plan.ops[0]
    }

    /// The same rows as a part of a larger batch.
    pub(super) fn as_part(&self) -> Self {
        let (first, of) = (5, self.rows + 9);
        Self {
            vars: format!("{} first={first} of={of}", self.vars),
            part: BatchPart::new(first, of),
            ..self.clone()
        }
    }

    /// Whether every word of `filter` is one of [`Case::vars`] or a prefix of the operation's name.
    pub fn matches(&self, filter: &str) -> bool {
        has_words(&self.vars, self.op().name(), filter)
    }
}

/// Whether every word of `filter` is one of `vars` or a prefix of `name`.
pub(super) fn has_words(vars: &str, name: &str, filter: &str) -> bool {
    let words: Vec<&str> = vars.split_whitespace().collect();
    (filter.split_whitespace()).all(|word| words.contains(&word) || name.starts_with(word))
}

/// Builds a [`Case`] with random inputs. Parameters come first, as in every plan.
pub(super) struct CaseBuilder {
    batch: usize,
    layout: Layout,
    parameters: Vec<Vec<f32>>,
    buffers: Vec<Buffer>,
    inputs: Vec<(BufferId, Values)>,
    input_shape: [usize; 3],
    classes: usize,
    rows: usize,
    part: Option<BatchPart>,
    rates: Rates,
    smallest: Option<f64>,
    source: Option<GatherSource>,
}

impl CaseBuilder {
    pub(super) fn new(batch: usize) -> Self {
        Self {
            batch,
            layout: Layout::default(),
            parameters: Vec::new(),
            buffers: Vec::new(),
            inputs: Vec::new(),
            input_shape: [1, 1, 1],
            classes: 2,
            rows: batch,
            part: None,
            rates: 0.01.into(),
            smallest: None,
            source: None,
        }
    }

    pub(super) fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// The rows are those from `first` on of a batch of `of`; by default they are a batch.
    pub(super) fn part(mut self, first: usize, of: usize) -> Self {
        self.part = Some(BatchPart::new(first, of));
        self
    }

    pub(super) fn rates(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    /// See [`Case::smallest`].
    pub(super) fn smallest(mut self, smallest: f64) -> Self {
        self.smallest = Some(smallest);
        self
    }

    pub(super) fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    pub(super) fn source(mut self, source: GatherSource) -> Self {
        self.input_shape = source.data.shape();
        self.source = Some(source);
        self
    }

    /// Random numbers in [-1, 1), different for each buffer.
    pub(super) fn uniform(&self, n: usize) -> Vec<f32> {
        let key = self.key();
        (0..n as u32).map(|i| 2.0 * key.uniform(i) - 1.0).collect()
    }

    /// The key of the random numbers of the next buffer.
    pub(super) fn key(&self) -> Key {
        Key::new(1).stream(Stream::Check, self.buffers.len() as u32)
    }

    /// A parameter of a layer named `layer`, drawn from [-1, 1).
    pub(super) fn parameter(&mut self, name: &str, shape: &[usize]) -> BufferId {
        let name = format!("layer/{name}");
        self.parameters.push(self.uniform(shape.iter().product()));
        let zeros = Initializer::Zeros;
        let number = self.layout.push(name.clone(), shape.to_vec(), zeros);
        self.buffer(&name, shape, Element::F32, Role::Parameter(number))
    }

    /// The gradient of a parameter, without values.
    pub(super) fn gradient(&mut self, parameter: BufferId) -> BufferId {
        let Buffer { name, shape, .. } = self.buffers[parameter.0].clone();
        // Parameters are the first buffers, so a buffer's index is also the parameter's.
        let role = Role::Gradient(parameter.0);
        self.buffer(&format!("d {name}"), &shape, Element::F32, role)
    }

    /// An input drawn from [-1, 1).
    pub(super) fn input(&mut self, name: &str, shape: &[usize]) -> BufferId {
        let values = self.uniform(shape.iter().product());
        self.input_of(name, shape, values)
    }

    pub(super) fn input_of(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> BufferId {
        let id = self.buffer(name, shape, Element::F32, Role::Intermediate);
        self.fill(id, Values::F32(values));
        id
    }

    pub(super) fn words(&mut self, name: &str, shape: &[usize], values: Vec<u32>) -> BufferId {
        let id = self.buffer(name, shape, Element::U32, Role::Intermediate);
        self.fill(id, Values::U32(values));
        id
    }

    pub(super) fn fill(&mut self, id: BufferId, values: Values) {
        self.inputs.push((id, values));
    }

    pub(super) fn output(&mut self, name: &str, shape: &[usize]) -> BufferId {
        self.buffer(name, shape, Element::F32, Role::Intermediate)
    }

    pub(super) fn output_words(&mut self, name: &str, shape: &[usize]) -> BufferId {
        self.buffer(name, shape, Element::U32, Role::Intermediate)
    }

    pub(super) fn batch_input(&mut self, name: &str, shape: &[usize], e: Element) -> BufferId {
        self.buffer(name, shape, e, Role::Input)
    }

    fn buffer(&mut self, name: &str, shape: &[usize], element: Element, role: Role) -> BufferId {
        self.buffers.push(Buffer {
            name: name.into(),
            shape: shape.to_vec(),
            element,
            role,
        });
        BufferId(self.buffers.len() - 1)
    }

    /// Finishes the case; `vars` lacks the operation's name.
    pub(super) fn finish(self, op: Op, vars: &str) -> Case {
        let layout = Arc::new(self.layout);
        let mut state = State::new(Arc::clone(&layout), 0);
        // Every case has moments and an average, so that an operation that must not change them is
        // noticed.
        state.begin_training(false);
        state.average = vec![0.0; layout.len];
        for (parameter, values) in layout.parameters.iter().zip(&self.parameters) {
            state.params[parameter.range()].copy_from_slice(values);
        }
        Case {
            vars: format!("{} {vars}", op.name()),
            plan: Plan {
                name: op.name().into(),
                batch: self.batch,
                input_shape: self.input_shape,
                classes: self.classes,
                layout,
                buffers: self.buffers,
                ops: vec![op],
                layers: vec![String::new()],
                layer_outputs: Vec::new(),
                part: PlanPart::Whole,
            },
            inputs: self.inputs,
            state,
            source: self.source,
            rows: self.rows,
            part: self.part.unwrap_or(BatchPart::whole(self.rows)),
            rates: self.rates,
            smallest: self.smallest,
        }
    }
}
