//! Compares two executors operation by operation.
//!
//! Both run the same step from the same state, each with its own intermediate results. The first
//! buffer that differs is where to look: everything before it agrees.

use std::fmt::{self, Display, Formatter};

use super::difference;
use crate::data::Dataset;
use crate::error::Result;
use crate::exec::{BatchPart, GradientSum, Inspect, Program, Step, StepMetrics, Values};
use crate::optimizer::Rates;
use crate::plan::{Op, Plan};
use crate::rng::Key;
use crate::shape::dims;
use crate::state::State;

/// The step that both executors run.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The operations.
    pub plan: &'a Plan,
    /// The samples, read in their own order.
    pub data: &'a Dataset,
    /// Parameters and moments before the step.
    pub state: &'a State,
    /// Valid rows.
    pub rows: usize,
    /// The coefficients of the optimizer step.
    pub rates: Rates,
    /// The largest `|a - b| / max |b|` allowed in a buffer.
    pub tolerance: f64,
}

/// The first difference between two executors.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The operation's index in the plan.
    pub number: usize,
    /// Its name.
    pub op: &'static str,
    /// The buffer, moment or metric that differs.
    pub buffer: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The index of the worst element.
    pub index: usize,
    /// The first executor's value there.
    pub a: f64,
    /// The second's.
    pub b: f64,
    /// `|a - b| / max |b|`.
    pub error: f64,
}

impl Display for Divergence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "operation {} ({}): `{}` [{}] differs by {:.1e} at element {}: {} against {}",
            self.number,
            self.op,
            self.buffer,
            dims(&self.shape),
            self.error,
            self.index,
            self.a,
            self.b
        )
    }
}

/// Runs `problem` on both, operation by operation, and returns the first difference.
///
/// # Errors
/// One of the executors failed.
pub fn compare(
    a: &mut dyn Inspect,
    b: &mut dyn Inspect,
    problem: &Problem<'_>,
) -> Result<Option<Divergence>> {
    let (step_a, step_b) = (prepare(a, problem)?, prepare(b, problem)?);
    for (number, op) in problem.plan.ops.iter().enumerate() {
        a.run(number..number + 1, &step_a)?;
        b.run(number..number + 1, &step_b)?;
        let of_a = results(a, op, step_a.program, problem)?;
        let of_b = results(b, op, step_b.program, problem)?;
        for (a, b) in of_a.into_iter().zip(of_b) {
            let (error, index) = difference(&a.values, &b.values, None);
            if error > problem.tolerance {
                let value = |of: &Values| of.to_f64().get(index).copied().unwrap_or(f64::NAN);
                return Ok(Some(Divergence {
                    number,
                    op: op.name(),
                    index,
                    a: value(&a.values),
                    b: value(&b.values),
                    buffer: b.name,
                    shape: b.shape,
                    error,
                }));
            }
        }
    }
    Ok(None)
}

fn prepare(executor: &mut dyn Inspect, problem: &Problem<'_>) -> Result<Step> {
    let step = Step {
        program: executor.compile(problem.plan)?,
        data: executor.load(problem.data)?,
        offset: 0,
        rows: problem.rows,
        rates: problem.rates,
        key: Key::of_step(0, 1),
        part: BatchPart::whole(problem.rows),
        sum: GradientSum::default(),
    };
    executor.upload(problem.state)?;
    Ok(step)
}

/// A result of an operation.
struct Output {
    name: String,
    shape: Vec<usize>,
    values: Values,
}

fn results(
    executor: &mut dyn Inspect,
    op: &Op,
    program: Program,
    problem: &Problem<'_>,
) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for id in op.writes() {
        let buffer = problem.plan.buffer(id);
        outputs.push(Output {
            name: buffer.name.clone(),
            shape: buffer.shape.clone(),
            values: executor.read(program, id)?,
        });
    }
    let metrics = executor.completed(true)?.pop().unwrap_or_default();
    // A penalty that runs alone adds to zero on the host, but to the loss before it on a GPU.
    if matches!(op, Op::Loss(_)) {
        outputs.extend(measured(metrics));
    }
    if op.operation().changes_moments() {
        outputs.extend(moments(executor, problem)?);
    }
    Ok(outputs)
}

fn measured(metrics: StepMetrics) -> [Output; 2] {
    let output = |name: &str, values| Output {
        name: name.into(),
        shape: vec![1],
        values,
    };
    [
        output("loss sum", Values::F32(vec![metrics.loss_sum])),
        output("correct", Values::U32(vec![metrics.correct])),
    ]
}

fn moments(executor: &mut dyn Inspect, problem: &Problem<'_>) -> Result<Vec<Output>> {
    let mut state = problem.state.clone();
    executor.download(&mut state)?;
    let mut outputs = Vec::new();
    for p in &state.layout.parameters {
        for (moment, arena) in state.moments() {
            outputs.push(Output {
                name: format!("{moment} {}", p.name),
                shape: p.shape.clone(),
                values: Values::F32(arena[p.range()].to_vec()),
            });
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exec::Description;
    use crate::exec::host::{HostExecutor, Kernels, Memory};
    use crate::exec::reference::{Reference, ReferenceExecutor};
    use crate::model::preset;
    use crate::optimizer::Optimizer;
    use crate::plan::{Pool2dForward, Purpose};

    /// The reference with a bug in one operation.
    struct Wrong;

    impl Kernels for Wrong {
        fn describe(&self) -> Description {
            Reference.describe()
        }

        fn run(&mut self, op: &Op, m: &mut Memory<'_>) {
            Reference.run(op, m);
            if let Op::Pool2dForward(Pool2dForward { y, .. }) = op {
                let mut values = m.take(*y);
                values[70] += 1.0;
                m.put(*y, values);
            }
        }
    }

    #[test]
    fn names_the_first_buffer_that_differs() {
        let model = preset("mnist-cnn").unwrap();
        let plan = Plan::new(&model, Purpose::Training(Optimizer::adam()), 2).unwrap();
        let images = (0..2 * 784).map(|i| (i * 7 % 256) as u8).collect();
        let data = Dataset::new("test", "", [28, 28, 1], 10, images, vec![3, 4]).unwrap();
        let state = State::new(Arc::clone(&plan.layout), 1);
        let problem = Problem {
            plan: &plan,
            data: &data,
            state: &state,
            rows: 2,
            rates: 0.001.into(),
            tolerance: 1e-6,
        };
        let reference = || ReferenceExecutor::reference(Arc::clone(&plan.layout));
        let mut wrong = HostExecutor::new(Wrong, Arc::clone(&plan.layout));
        let same = compare(&mut reference(), &mut reference(), &problem).unwrap();
        assert_eq!(same, None);
        let found = compare(&mut wrong, &mut reference(), &problem).unwrap();
        let message = found.unwrap().to_string();
        let start = "operation 2 (pool2d_forward): `max_pooling2d` [2x13x13x32] differs by ";
        assert!(message.starts_with(start), "{message}");
        assert!(message.contains("at element 70"), "{message}");
    }
}
