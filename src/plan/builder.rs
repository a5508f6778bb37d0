//! Lowers layers to operations: builds the forward pass and derives the backward pass from a tape.
//!
//! A layer's lowering calls the methods here as it would call an eager library. In training, each
//! call also records its backward pass on the tape, which is replayed in reverse after the loss.
//! The gradient passed backwards is always that of a value's *pre-activation*: the operation that
//! computes a gradient also multiplies it by the derivative of the activation that produced the
//! value (see [`Through`]). If several operations read a value, each does so with its part of the
//! gradient, which costs nothing because it is fused, and the parts are added from the last reader
//! to the first. The builder method for an operation is in the operation's file, in `op`.

mod end;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{
    AddOp, Buffer, BufferId, Element, Gather, Mixing, Op, Plan, PlanPart, Purpose, Role, RowDraws,
    Through,
};
use crate::error::{Error, Result};
use crate::model::{Activation, ResolvedLayer, Sequential};
use crate::optimizer::Optimizer;
use crate::state::Layout;

/// A tensor passed from layer to layer.
#[derive(Clone, Debug)]
pub struct Value {
    pub(super) buffer: BufferId,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// The pointwise activation that produced it.
    pub(super) activation: Activation,
    /// The buffer from which the activation's derivative is computed: the activation's output, or
    /// its input if [`Activation::keeps_input`].
    pub(super) kept: BufferId,
}

impl Value {
    /// The same tensor with the axes of a sample merged into one.
    pub fn flattened(mut self) -> Self {
        self.shape = vec![self.shape.iter().product()];
        self
    }

    pub(super) fn through(&self) -> Option<Through> {
        match self.activation {
            Activation::Linear => None,
            activation => Some(Through {
                y: self.kept,
                activation,
            }),
        }
    }
}

/// The backward pass of one forward operation: takes the gradient of the operation's output and
/// returns those of its inputs. Only the inputs whose flag is set need one; what stands for the
/// others is not used.
type BackwardFn = Box<dyn FnOnce(&mut Builder, &[Value], BufferId, &[bool]) -> Vec<BufferId>>;

/// An entry of the tape: what the backward pass needs from one forward operation.
struct Record {
    /// The layer that the operation belongs to.
    layer: String,
    /// The operation's inputs.
    inputs: Vec<Value>,
    /// The buffer of its output.
    y: BufferId,
    has_parameters: bool,
    backward: BackwardFn,
}

/// What the loss compares with.
#[derive(Clone, Copy, Debug)]
struct LossLabels {
    /// The labels of the batch.
    labels: BufferId,
    /// Those of mixed rows, if training mixes them.
    targets: Option<BufferId>,
}

/// The index of the layer before which images are mixed: the one behind the last that varies images.
///
/// # Errors
/// A layer from there on takes what lies before the place, and would see other images than its
/// neighbours.
fn mixed_at(layers: &[ResolvedLayer<'_>]) -> Result<usize> {
    let last = layers
        .iter()
        .rposition(|layer| layer.layer.is_image_augmentation());
    let at = last.map_or(0, |last| last + 1);
    let is_before = |source: &Option<usize>| *source < last;
    match layers[at..]
        .iter()
        .find(|layer| layer.from.iter().any(is_before))
    {
        None => Ok(at),
        Some(layer) => Err(Error::layer(
            &layer.name,
            "it takes images from before the last layer that varies them, where MixUp and CutMix have not mixed \
             them yet; let it take the output of that layer, or train without them",
        )),
    }
}

/// Builds a [`Plan`], operation by operation.
pub struct Builder {
    pub(super) plan: Plan,
    pub(super) optimizer: Option<Optimizer>,
    mixing: Option<Mixing>,
    input_gradient: bool,
    /// Whether the plan ends with the last layer's output.
    without_loss: bool,
    /// The layer whose forward or backward pass is being built.
    pub(super) layer: String,
    /// Whether the layer whose forward pass is being built is trainable.
    pub(super) trains: bool,
    tape: Vec<Record>,
    /// The number of the next series of random draws.
    series: u32,
    /// How many operations on the tape read a buffer.
    readers: HashMap<BufferId, usize>,
    /// The index of the layer whose forward pass is being built.
    index: usize,
    /// The last layer that takes a buffer which another one gives.
    last_takers: HashMap<BufferId, usize>,
}

impl Builder {
    pub(super) fn new(
        model: &Sequential,
        layout: Arc<Layout>,
        purpose: Purpose,
        batch: usize,
        part: PlanPart,
    ) -> Self {
        let (optimizer, input_gradient, what) = match purpose {
            Purpose::Training(optimizer) | Purpose::MixedTraining(optimizer, _) => {
                (Some(optimizer), false, "training")
            }
            Purpose::Gradients(optimizer) => (Some(optimizer), true, "gradients"),
            Purpose::Inference => (None, false, "inference"),
            Purpose::Outputs => (None, false, "outputs"),
        };
        let buffers = (layout.parameters.iter().enumerate())
            .map(|(i, p)| Buffer {
                name: p.name.clone(),
                shape: p.shape.clone(),
                element: Element::F32,
                role: Role::Parameter(i),
            })
            .collect();
        Self {
            plan: Plan {
                name: format!("{} {what}", model.name),
                batch,
                input_shape: model.input_shape,
                classes: 0,
                layout,
                buffers,
                ops: Vec::new(),
                layers: Vec::new(),
                layer_outputs: Vec::new(),
                part,
            },
            optimizer,
            mixing: match purpose {
                Purpose::MixedTraining(_, mixing) => Some(mixing),
                _ => None,
            },
            input_gradient,
            without_loss: purpose == Purpose::Outputs,
            layer: String::new(),
            trains: true,
            tape: Vec::new(),
            series: 0,
            readers: HashMap::new(),
            index: 0,
            last_takers: HashMap::new(),
        }
    }

    pub(super) fn build(mut self, model: &Sequential) -> Result<Plan> {
        if self.plan.part == PlanPart::Update {
            self.end(model)?;
            return Ok(self.plan);
        }
        let mut input = self.input(model.input_shape);
        let mut labels = LossLabels {
            labels: self.labels(),
            targets: None,
        };
        self.push(Op::Gather(Gather {
            x: input.buffer,
            labels: labels.labels,
        }));
        let mut values: Vec<Value> = Vec::with_capacity(model.layers.len());
        let layers = model.resolve()?;
        let mut takers = vec![0; layers.len()];
        for (index, layer) in layers.iter().enumerate() {
            (layer.from.iter().flatten()).for_each(|source| takers[*source] = index);
        }
        let mixed_at = self.mixing.map(|_| mixed_at(&layers)).transpose()?;
        let first = input.buffer;
        for (index, layer) in layers.into_iter().enumerate() {
            if let Some(mixing) = self.mixing.filter(|_| mixed_at == Some(index)) {
                self.layer.clear();
                let images = values.last_mut().unwrap_or(&mut input);
                let mixed = self.mix(images, labels.labels, mixing);
                let (mixed, targets) = mixed.map_err(|message| model.error(message))?;
                *images = mixed;
                labels.targets = Some(targets);
            }
            self.index = index;
            self.layer.clone_from(&layer.name);
            self.trains = layer.trainable;
            let source = |from: &Option<usize>| from.map_or(&input, |index| &values[index]).clone();
            let inputs = layer.from.iter().map(source).collect();
            let value = (layer.layer.spec().lower_merged(&mut self, inputs))
                .map_err(|message| Error::layer(&layer.name, message))?;
            if self.without_loss {
                self.plan.layer_outputs.push(value.buffer);
            }
            // Layers that change nothing pass a buffer on.
            let last_taker = self.last_takers.entry(value.buffer).or_default();
            *last_taker = takers[index].max(*last_taker);
            values.push(value);
        }
        if self.without_loss {
            return Ok(self.plan);
        }
        let last = values.pop().unwrap_or_else(|| input.clone());
        let gradient = self.loss(model.loss, last, labels);
        let gradient = gradient.map_err(|message| Error::layer(&self.layer, message))?;
        if let Some((y, dy)) = gradient {
            self.backward(first, y, dy);
        }
        self.layer.clear();
        if self.plan.part == PlanPart::Whole {
            self.end(model)?;
        }
        Ok(self.plan)
    }

    /// Adds what follows the gradients.
    fn end(&mut self, model: &Sequential) -> Result<()> {
        if self.plan.part == PlanPart::Update {
            self.move_statistics(model)?;
        }
        self.regularize(model)?;
        match self.optimizer {
            Some(optimizer) => self.update(model, optimizer),
            None => Ok(()),
        }
    }

    /// Whether image augmentation acts: in training, but not for the gradient of the input, which is
    /// that of the network behind it.
    pub(crate) fn augments(&self) -> bool {
        self.optimizer.is_some() && !self.input_gradient
    }

    /// Whether a layer behind the current one takes the value too.
    pub(super) fn is_taken_later(&self, x: &Value) -> bool {
        let last = self.last_takers.get(&x.buffer);
        last.is_some_and(|last| *last > self.index)
    }

    /// A series of random draws that no other layer has.
    pub(super) fn row_draws(&mut self) -> RowDraws {
        let number = self.series;
        self.series += 1;
        RowDraws { number }
    }

    /// Adds an operation of the current layer.
    pub(super) fn push(&mut self, op: Op) {
        self.plan.ops.push(op);
        self.plan.layers.push(self.layer.clone());
    }

    /// Records the backward pass of an operation with one input `x` and the output `y`: `backward`
    /// adds the operations that compute the gradients of the parameters, if they are trained, and, if
    /// its flag requests it, of the input, and returns the latter.
    pub(super) fn record(
        &mut self,
        x: Value,
        y: BufferId,
        has_parameters: bool,
        backward: impl FnOnce(&mut Self, &Value, BufferId, bool) -> BufferId + 'static,
    ) {
        let backward = |b: &mut Self, inputs: &[Value], dy, wants: &[bool]| {
            vec![backward(b, &inputs[0], dy, wants[0])]
        };
        self.put_on_tape(vec![x], y, has_parameters, Box::new(backward));
    }

    /// Records the backward pass of an operation without parameters that merges several inputs:
    /// `backward` receives the number of an input and returns its gradient.
    pub(super) fn record_merge(
        &mut self,
        inputs: Vec<Value>,
        y: BufferId,
        backward: impl Fn(&mut Self, usize, &Value, BufferId) -> BufferId + 'static,
    ) {
        let backward = move |b: &mut Self, inputs: &[Value], dy, wants: &[bool]| {
            let numbered = inputs.iter().zip(wants).enumerate();
            let gradient = |(number, (x, wants)): (usize, (&Value, &bool))| match wants {
                true => backward(b, number, x, dy),
                false => dy,
            };
            numbered.map(gradient).collect()
        };
        self.put_on_tape(inputs, y, false, Box::new(backward));
    }

    fn put_on_tape(
        &mut self,
        inputs: Vec<Value>,
        y: BufferId,
        has_parameters: bool,
        backward: BackwardFn,
    ) {
        for x in &inputs {
            *self.readers.entry(x.buffer).or_default() += 1;
        }
        self.tape.push(Record {
            layer: self.layer.clone(),
            inputs,
            y,
            has_parameters,
            backward,
        });
    }

    /// Removes the last operation with one input from the tape and returns that input.
    pub(super) fn take_from_tape(&mut self) -> Option<Value> {
        self.tape.pop()?.inputs.pop()
    }

    /// The current layer's parameter of this name, such as `kernel` or `bias`.
    ///
    /// # Errors
    /// The layer does not declare such a parameter.
    pub fn parameter(&self, name: &str) -> Result<BufferId, String> {
        let full = format!("{}/{name}", self.layer);
        let found = self.plan.layout.find(&full);
        // Parameters are the first buffers, in the layout's order.
        found
            .map(BufferId)
            .ok_or_else(|| format!("the layer has no parameter `{name}`"))
    }

    /// Adds the backward pass from `dy`, the gradient of the value `y`, to the parameters and, if
    /// the purpose needs it, to the `input`.
    fn backward(&mut self, input: BufferId, y: BufferId, dy: BufferId) {
        let tape = std::mem::take(&mut self.tape);
        let wanted = self.wanted(input, &tape);
        // The parts of each value's gradient, one from each operation that reads it.
        let mut parts = HashMap::from([(y, vec![dy])]);
        for record in tape.into_iter().rev() {
            let is_wanted = |x: &Value| wanted.contains(&x.buffer);
            let wants: Vec<bool> = record.inputs.iter().map(is_wanted).collect();
            if !record.has_parameters && !wants.contains(&true) {
                continue;
            }
            let Some(of_output) = parts.remove(&record.y) else {
                continue;
            };
            self.layer = record.layer;
            let dy = self.sum(record.y, &of_output);
            let gradients = (record.backward)(self, &record.inputs, dy, &wants);
            for (x, (dx, wants)) in record.inputs.iter().zip(gradients.into_iter().zip(wants)) {
                if wants {
                    parts.entry(x.buffer).or_default().push(dx);
                }
            }
        }
        let of_input = parts.remove(&input).filter(|_| self.input_gradient);
        if let Some(of_input) = of_input {
            let dx = self.sum(input, &of_input);
            // Whichever layer named its buffer.
            self.plan.buffers[dx.0].name = "d input".into();
        }
    }

    /// The values whose gradient the backward pass needs: those that depend on a parameter, and the
    /// input if its gradient is asked for, with all that depends on it.
    fn wanted(&self, input: BufferId, tape: &[Record]) -> HashSet<BufferId> {
        let asked = Some(input).filter(|_| self.input_gradient);
        let mut wanted: HashSet<BufferId> = asked.into_iter().collect();
        for record in tape {
            let mut inputs = record.inputs.iter();
            if record.has_parameters || inputs.any(|x| wanted.contains(&x.buffer)) {
                wanted.insert(record.y);
            }
        }
        wanted
    }

    /// The sum of the parts of the gradient of `value`.
    fn sum(&mut self, value: BufferId, parts: &[BufferId]) -> BufferId {
        let of = self.plan.buffer(value);
        let (name, shape) = (format!("d {}", of.name), of.shape.clone());
        self.merge(parts, &name, |b, [first, second], name| {
            let y = b.buffer(name, shape.clone(), Element::F32, Role::Intermediate);
            b.push(Op::Add(AddOp {
                a: first,
                b: second,
                y,
            }));
            y
        })
    }

    // Buffers.

    fn input(&mut self, shape: [usize; 3]) -> Value {
        let buffer = self.buffer(
            "input".into(),
            self.batched(&shape),
            Element::F32,
            Role::Input,
        );
        Value {
            buffer,
            shape: shape.to_vec(),
            activation: Activation::Linear,
            kept: buffer,
        }
    }

    fn labels(&mut self) -> BufferId {
        let shape = vec![self.plan.batch];
        self.buffer("labels".into(), shape, Element::U32, Role::Input)
    }

    pub(super) fn value(&mut self, shape: Vec<usize>, activation: Activation) -> Value {
        self.value_named(self.layer.clone(), shape, activation)
    }

    pub(super) fn value_named(
        &mut self,
        name: String,
        shape: Vec<usize>,
        activation: Activation,
    ) -> Value {
        let batched = self.batched(&shape);
        let buffer = self.buffer(name, batched, Element::F32, Role::Intermediate);
        Value {
            buffer,
            shape,
            activation,
            kept: buffer,
        }
    }

    /// Adds the buffer for the gradient of `x`'s pre-activation, or for the current layer's part of
    /// it.
    pub(super) fn gradient_of(&mut self, x: &Value) -> BufferId {
        let of = self.plan.buffer(x.buffer);
        let is_part = self
            .readers
            .get(&x.buffer)
            .is_some_and(|readers| *readers > 1);
        let shape = of.shape.clone();
        let name = match is_part {
            true => self.unused_name(format!("d {} from {}", of.name, self.layer)),
            false => format!("d {}", of.name),
        };
        self.buffer(name, shape, Element::F32, Role::Intermediate)
    }

    /// The name, with a number behind it if a buffer has it already: a layer may take a value twice.
    pub(super) fn unused_name(&self, name: String) -> String {
        let is_used = |name: &String| self.plan.buffers.iter().any(|b| b.name == *name);
        let numbered = (2..).map(|number| format!("{name} {number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        names.find(|name| !is_used(name)).unwrap_or(name)
    }

    /// The buffer for a parameter's gradient, added at first use.
    pub(super) fn gradient(&mut self, parameter: BufferId) -> BufferId {
        let role = Role::Gradient(parameter.0);
        if let Some(i) = self.plan.buffers.iter().position(|b| b.role == role) {
            return BufferId(i);
        }
        let of = self.plan.buffer(parameter);
        let (name, shape) = (format!("d {}", of.name), of.shape.clone());
        self.buffer(name, shape, Element::F32, role)
    }

    pub(super) fn buffer(
        &mut self,
        name: String,
        shape: Vec<usize>,
        element: Element,
        role: Role,
    ) -> BufferId {
        self.plan.buffers.push(Buffer {
            name,
            shape,
            element,
            role,
        });
        BufferId(self.plan.buffers.len() - 1)
    }

    pub(super) fn batched(&self, shape: &[usize]) -> Vec<usize> {
        [&[self.plan.batch], shape].concat()
    }
}
