//! Runs the steps of a small network on an executor and on the reference, and compares the loss,
//! the predictions and each parameter.

use std::sync::Arc;

use super::super::result::same_bits;
use super::super::{CaseResult, Factory, OutputResult};
use super::StepCase;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::reference::ReferenceExecutor;
use crate::exec::{Inspect, Program, Step, Values};
use crate::optimizer::{Optimizer, Rates, UpdateRule};
use crate::plan::{Buffer, BufferId, Element, Op, Plan, Purpose, Role};
use crate::rng::{Key, Stream};
use crate::state::{Parameter, State};

/// Training steps: the first is submitted alone, the others together. The last batch is short.
const STEPS: usize = 3;
/// Rows missing from the last batch.
const LACKING: usize = 2;
/// How often the steps are run; each run must give the same bytes.
const RUNS: usize = 2;
/// The largest relative error allowed, for a chain of a dozen operations with an error of up to
/// 1e-5 each.
pub(super) const TOLERANCE: f64 = 1e-4;

/// Runs the steps of `case` on a new executor and compares every result with the reference's.
pub fn check_step(factory: Factory<'_>, case: &StepCase) -> CaseResult {
    let (outputs, failure) = match compare(factory, case) {
        Ok(outputs) => (outputs, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    CaseResult {
        op: case.name.clone(),
        vars: case.vars.clone(),
        outputs,
        failure,
    }
}

fn compare(factory: Factory<'_>, case: &StepCase) -> Result<Vec<OutputResult>> {
    let trial = Trial::new(case)?;
    let layout = &trial.plan.layout;
    let mut executor = factory(Arc::clone(layout));
    let found = trial.run(&mut *executor, RUNS)?;
    let mut reference = ReferenceExecutor::reference(Arc::clone(layout));
    let expected = trial.run(&mut reference, 1)?;
    let pairs = found.into_iter().zip(expected);
    let results = pairs.map(|(found, expected)| {
        let tolerance = match expected.values {
            Values::F32(_) => TOLERANCE,
            Values::U32(_) => 0.0,
        };
        let values = [&found.values, &expected.values];
        OutputResult {
            dispatch: Some(found.dispatch),
            ..OutputResult::new(found.name, values, tolerance, None)
        }
    });
    Ok(results.collect())
}

/// A case ready to run.
pub(super) struct Trial {
    pub(super) plan: Plan,
    /// `None` for inference.
    optimizer: Option<Optimizer>,
    /// The state before the first step.
    pub(super) state: State,
    data: Dataset,
}

/// One result of the steps.
pub(super) struct Output {
    pub(super) name: String,
    /// The operations in the dispatch that computed it.
    dispatch: String,
    pub(super) values: Values,
}

impl Trial {
    pub(super) fn new(case: &StepCase) -> Result<Self> {
        let plan = Plan::new(&case.model, case.purpose, case.batch)?;
        let (optimizer, steps) = match case.purpose {
            Purpose::Training(optimizer)
            | Purpose::MixedTraining(optimizer, _)
            | Purpose::Gradients(optimizer) => (Some(optimizer), STEPS),
            Purpose::Inference | Purpose::Outputs => (None, 1),
        };
        let mut state = State::new(Arc::clone(&plan.layout), 1);
        vary(&mut state);
        state.begin_training(optimizer.is_some_and(|o| o.ema_momentum.is_some()));
        Ok(Self {
            data: noise(&plan, steps * case.batch - LACKING)?,
            plan,
            optimizer,
            state,
        })
    }

    pub(super) fn run(&self, executor: &mut dyn Inspect, runs: usize) -> Result<Vec<Output>> {
        let program = executor.compile(&self.plan)?;
        let data = executor.load(&self.data)?;
        let step = |t: usize| {
            let first = t * self.plan.batch;
            let rows = first..self.data.len().min(first + self.plan.batch);
            let number = t as u64 + 1;
            let rates = self.optimizer.map_or(Rates::default(), |o| o.rates(number));
            Step::new(program, data, rows, rates, Key::of_step(1, number))
        };
        let steps: Vec<Step> = (0..self.data.len().div_ceil(self.plan.batch))
            .map(step)
            .collect();
        let first = self.run_once(executor, &steps)?;
        for run in 2..=runs {
            let again = self.run_once(executor, &steps)?;
            let mut pairs = first.iter().zip(&again);
            if let Some((a, _)) = pairs.find(|(a, b)| !same_bits(&a.values, &b.values)) {
                return Err(Error::device(format!(
                    "run {run} of the same steps gave different bytes of `{}`, computed by {}: its invocations race",
                    a.name, a.dispatch
                )));
            }
        }
        Ok(first)
    }

    fn run_once(&self, executor: &mut dyn Inspect, steps: &[Step]) -> Result<Vec<Output>> {
        let (first, others) = match steps {
            [first, others @ ..] => (first, others),
            [] => return Ok(Vec::new()),
        };
        executor.upload(&self.state)?;
        self.poison(executor, first.program)?;
        let dispatches = self.dispatches(executor, first.program);
        executor.enqueue(first)?;
        let mut outputs = self.measured(executor, 1, &dispatches)?;
        outputs.push(self.predictions(executor, first.program, &dispatches)?);
        if !others.is_empty() {
            let mut state = self.state.clone();
            executor.download(&mut state)?;
            outputs.extend(self.after_one(&state, &dispatches));
            for step in others {
                executor.enqueue(step)?;
            }
            outputs.extend(self.measured(executor, 2, &dispatches)?);
            executor.download(&mut state)?;
            outputs.extend(self.after_all(&state, &dispatches));
        }
        executor.intact(first.program)?;
        Ok(outputs)
    }

    /// Fills all tensors and gradients with NaN, so that an element that no kernel writes is
    /// noticed.
    fn poison(&self, executor: &mut dyn Inspect, program: Program) -> Result<()> {
        for (i, buffer) in self.plan.buffers.iter().enumerate() {
            let values = match (buffer.role, buffer.element) {
                (Role::Parameter(_), _) => continue,
                (_, Element::F32) => Values::F32(vec![f32::from_bits(u32::MAX); buffer.len()]),
                (_, Element::U32) => Values::U32(vec![u32::MAX; buffer.len()]),
            };
            executor.write(program, BufferId(i), &values)?;
        }
        Ok(())
    }

    /// For each operation, the names of the operations in its dispatch, in their order.
    fn dispatches(&self, executor: &mut dyn Inspect, program: Program) -> Vec<String> {
        let into = executor.fused_into(program);
        let place = |op: usize| into.get(op).copied().flatten().unwrap_or(op);
        let ops = || self.plan.ops.iter().enumerate();
        ops()
            .map(|(i, _)| {
                let together = ops().filter(|(j, _)| place(*j) == place(i));
                let names: Vec<&str> = together.map(|(_, op)| op.name()).collect();
                names.join(" + ")
            })
            .collect()
    }

    /// The dispatch of the first operation that writes a buffer that satisfies `wanted`.
    fn writer(&self, dispatches: &[String], wanted: impl Fn(BufferId, &Buffer) -> bool) -> String {
        let wanted = |id: &BufferId| wanted(*id, self.plan.buffer(*id));
        let writes = |op: &Op| op.writes().iter().any(wanted);
        let found = self.plan.ops.iter().position(writes);
        found.map_or(String::new(), |op| dispatches[op].clone())
    }

    /// Losses and correct rows of the finished steps, numbered from `first`.
    fn measured(
        &self,
        executor: &mut dyn Inspect,
        first: usize,
        dispatches: &[String],
    ) -> Result<Vec<Output>> {
        let from = self.writer(dispatches, |id, _| self.is_predictions(id));
        let metrics = executor.completed(true)?;
        let numbered = metrics.into_iter().enumerate();
        let outputs = numbered.flat_map(|(i, metrics)| {
            let output = |what: &str, values| Output {
                name: format!("{what} of step {}", first + i),
                dispatch: from.clone(),
                values,
            };
            [
                output("loss sum", Values::F32(vec![metrics.loss_sum])),
                output(
                    "correct rows",
                    Values::U32(vec![metrics.correct, metrics.rows]),
                ),
            ]
        });
        Ok(outputs.collect())
    }

    fn is_predictions(&self, id: BufferId) -> bool {
        self.plan.loss().is_some_and(|loss| loss.predictions == id)
    }

    fn predictions(
        &self,
        executor: &mut dyn Inspect,
        program: Program,
        dispatches: &[String],
    ) -> Result<Output> {
        Ok(Output {
            name: "predictions of step 1".into(),
            dispatch: self.writer(dispatches, |id, _| self.is_predictions(id)),
            values: Values::F32(executor.predictions(program)?),
        })
    }

    /// The gradient of each parameter, if the first moment contains it, and the change of each
    /// parameter.
    fn after_one(&self, state: &State, dispatches: &[String]) -> Vec<Output> {
        let rule = self.optimizer.map(|o| o.rule);
        // Then the first moment is a multiple of the gradient, with the same relative error.
        let holds_gradient = match rule {
            Some(UpdateRule::Sgd { momentum, .. }) => momentum != 0.0,
            Some(UpdateRule::Adam { .. }) => true,
            Some(UpdateRule::RmsProp { .. }) | None => false,
        };
        let mut outputs = Vec::new();
        for (i, p) in self.backward_order() {
            let mut push = |name, values| {
                outputs.push(Output {
                    name,
                    dispatch: self.maker(i, dispatches),
                    values,
                });
            };
            if p.trainable && holds_gradient {
                let values = Values::F32(state.m[p.range()].to_vec());
                push(format!("gradient of {}", p.name), values);
            }
            push(format!("{} after step 1", p.name), self.moved(state, p));
        }
        outputs
    }

    /// The change of each parameter, and its moments.
    fn after_all(&self, state: &State, dispatches: &[String]) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (i, p) in self.backward_order() {
            let mut push = |name, values| {
                outputs.push(Output {
                    name: format!("{name} after step {STEPS}"),
                    dispatch: self.maker(i, dispatches),
                    values,
                });
            };
            push(p.name.clone(), self.moved(state, p));
            for (moment, arena) in state.moments() {
                let values = Values::F32(arena[p.range()].to_vec());
                push(format!("{moment} of {}", p.name), values);
            }
        }
        outputs
    }

    /// The parameters from the last to the first, in the order in which gradients are computed.
    fn backward_order(&self) -> impl Iterator<Item = (usize, &Parameter)> {
        self.plan.layout.parameters.iter().enumerate().rev()
    }

    /// The dispatch that computes the gradient of a parameter, or the parameter itself if it is a
    /// moving statistic.
    fn maker(&self, parameter: usize, dispatches: &[String]) -> String {
        let own = [Role::Gradient(parameter), Role::Parameter(parameter)];
        let is_updated = self.plan.layout.parameters[parameter].trainable;
        let own = if is_updated { own[0] } else { own[1] };
        self.writer(dispatches, |_, buffer| buffer.role == own)
    }

    /// The change of a parameter since before the first step. Its error would be lost in the whole
    /// value.
    fn moved(&self, state: &State, p: &Parameter) -> Values {
        let pairs = state.params[p.range()]
            .iter()
            .zip(&self.state.params[p.range()]);
        Values::F32(pairs.map(|(after, before)| after - before).collect())
    }
}

/// Changes every weight a little, so that no bias is zero.
fn vary(state: &mut State) {
    let key = Key::new(1).stream(Stream::Check, 1);
    let params = state.params.iter_mut().enumerate();
    params.for_each(|(i, w)| *w += 0.2 * (key.uniform(i as u32) - 0.5));
}

fn noise(plan: &Plan, n: usize) -> Result<Dataset> {
    let size: usize = plan.input_shape.iter().product();
    let key = Key::new(7).stream(Stream::Check, 0);
    let images = (0..(n * size) as u32).map(|i| key.bits(i) as u8).collect();
    let labels = (0..n).map(|i| (i * 7 % plan.classes) as u8).collect();
    let data = Dataset::new("noise", "", plan.input_shape, plan.classes, images, labels);
    Ok(data?)
}
