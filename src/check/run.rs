//! Runs a case on an executor and on the reference, and measures how far they are apart.

use std::sync::Arc;

use serde::Serialize;

use super::{Case, Factory};
use crate::error::{Error, Result};
use crate::exec::reference::ReferenceExecutor;
use crate::exec::{DataId, Inspect, Program, Step, Values};
use crate::plan::{Element, Op, Rounding};
use crate::rng::Key;

/// How far an executor's outputs are from the reference's in one case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// The operation.
    pub op: String,
    /// The case; see [`Case::vars`].
    pub vars: String,
    /// Each tensor that the operation made.
    pub outputs: Vec<OutputResult>,
    /// Why there are no outputs, if the executor failed.
    pub failure: Option<String>,
}

/// How far one tensor is from the reference's.
#[derive(Clone, Debug, Serialize)]
pub struct OutputResult {
    /// The buffer.
    pub name: String,
    /// `max |a - b| / max |b|`; infinite where one is NaN, infinite or another word and the other
    /// is not, and then null in JSON.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
    /// The worst element, if it is too far off.
    pub difference: Option<String>,
}

impl OutputResult {
    /// The error is allowed.
    pub fn passes(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl CaseResult {
    /// Every output is near enough.
    pub fn passes(&self) -> bool {
        self.failure.is_none() && self.outputs.iter().all(OutputResult::passes)
    }

    /// The largest error of all outputs; infinite if there are none.
    pub fn worst(&self) -> f64 {
        match self.failure {
            Some(_) => f64::INFINITY,
            None => self.outputs.iter().map(|o| o.error).fold(0.0, f64::max),
        }
    }

    /// What went wrong, with the case to paste as a filter; empty if nothing did.
    pub fn message(&self) -> String {
        let problem = |o: &OutputResult| {
            let difference = o.difference.as_deref().unwrap_or_default();
            format!(
                "`{}` is off by {:.1e}, allowed {:.1e}: {difference}",
                o.name, o.error, o.tolerance
            )
        };
        let failed = self.outputs.iter().filter(|o| !o.passes());
        let mut problems: Vec<String> = failed.map(problem).collect();
        problems.extend(self.failure.clone());
        match problems.is_empty() {
            true => String::new(),
            false => format!("{}\n    {}", self.vars, problems.join("\n    ")),
        }
    }
}

/// Runs `case` on a new executor and compares every output with the reference's.
pub fn check_case(factory: Factory<'_>, case: &Case) -> CaseResult {
    let mut reference = ReferenceExecutor::reference(Arc::clone(&case.plan.layout));
    let mut executor = factory(Arc::clone(&case.plan.layout));
    let outputs = outputs(&mut *executor, case, RUNS)
        .and_then(|found| Ok((found, outputs(&mut reference, case, 1)?)));
    let (outputs, failure) = match outputs {
        Ok((found, expected)) => (compare(case, found, expected), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    CaseResult {
        op: case.op().name().into(),
        vars: case.vars.clone(),
        outputs,
        failure,
    }
}

type Named = (String, Values);

/// Runs of one case: invocations that race give other bytes sooner or later.
const RUNS: usize = 3;

/// Runs the operation some times, and reads everything that it made, which has to be the same to
/// the byte each time.
fn outputs(executor: &mut dyn Inspect, case: &Case, runs: usize) -> Result<Vec<Named>> {
    let program = executor.compile(&case.plan)?;
    let step = Step {
        program,
        data: load(executor, case)?,
        offset: case.source.as_ref().map_or(0, |source| source.offset),
        rows: case.rows,
        rates: case.rates,
        key: Key::of_step(0, 1),
    };
    // A penalty is added to the loss that is there.
    let runs = match case.op() {
        Op::Regularize(_) => 1,
        _ => runs,
    };
    let first = outputs_once(executor, case, &step)?;
    for run in 2..=runs {
        let again = outputs_once(executor, case, &step)?;
        let other = first
            .iter()
            .zip(&again)
            .find(|(a, b)| !same_bits(&a.1, &b.1));
        if let Some(((name, _), _)) = other {
            return Err(Error::Device(format!(
                "run {run} of the same operation made other bytes of `{name}`: its invocations race"
            )));
        }
    }
    Ok(first)
}

fn same_bits(a: &Values, b: &Values) -> bool {
    let bits = |v: &Values| match v {
        Values::F32(v) => v.iter().map(|x| x.to_bits()).collect(),
        Values::U32(v) => v.clone(),
    };
    bits(a) == bits(b)
}

fn outputs_once(executor: &mut dyn Inspect, case: &Case, step: &Step) -> Result<Vec<Named>> {
    let program = step.program;
    executor.upload(&case.state)?;
    for (id, values) in &case.inputs {
        executor.write(program, *id, values)?;
    }
    poison(executor, program, case)?;
    executor.run(0..1, step)?;
    executor.intact(program)?;
    let mut outputs = Vec::new();
    for id in case.op().writes() {
        let name = case.plan.buffer(id).name.clone();
        outputs.push((name, executor.read(program, id)?));
    }
    if case.op().operation().adds_to_metrics() {
        outputs.extend(metrics(executor)?);
    }
    if case.op().operation().changes_moments() {
        outputs.extend(moments(executor, case)?);
    }
    Ok(outputs)
}

fn load(executor: &mut dyn Inspect, case: &Case) -> Result<DataId> {
    let Some(source) = &case.source else {
        // Only a gather reads a data set.
        return Ok(DataId(0));
    };
    let data = executor.load(&source.data)?;
    executor.order(data, &source.order)?;
    Ok(data)
}

/// Fills the outputs with NaN, so that an element which the operation forgets is found.
fn poison(executor: &mut dyn Inspect, program: Program, case: &Case) -> Result<()> {
    let reads = case.op().reads();
    for id in case.op().writes() {
        let buffer = case.plan.buffer(id);
        let values = match buffer.element {
            // Weights that are updated and gradients that are penalized are inputs as well.
            _ if reads.contains(&id) => continue,
            Element::F32 => Values::F32(vec![f32::from_bits(u32::MAX); buffer.len()]),
            Element::U32 => Values::U32(vec![u32::MAX; buffer.len()]),
        };
        executor.write(program, id, &values)?;
    }
    Ok(())
}

fn metrics(executor: &mut dyn Inspect) -> Result<Vec<Named>> {
    let metrics = executor.completed(true)?.pop().unwrap_or_default();
    Ok(vec![
        ("loss sum".into(), Values::F32(vec![metrics.loss_sum])),
        ("correct".into(), Values::U32(vec![metrics.correct])),
        ("rows".into(), Values::U32(vec![metrics.rows])),
    ])
}

fn moments(executor: &mut dyn Inspect, case: &Case) -> Result<Vec<Named>> {
    let mut state = case.state.clone();
    executor.download(&mut state)?;
    let mut moments = Vec::new();
    for p in &case.plan.layout.parameters {
        for (moment, arena) in state.moments() {
            let values = arena[p.range()].to_vec();
            moments.push((format!("{moment} {}", p.name), Values::F32(values)));
        }
    }
    Ok(moments)
}

fn compare(case: &Case, found: Vec<Named>, expected: Vec<Named>) -> Vec<OutputResult> {
    let pairs = found.into_iter().zip(expected);
    pairs
        .map(|((name, found), (_, expected))| {
            let tolerance = match expected {
                Values::F32(_) => tolerance(case.op().operation().rounding()),
                Values::U32(_) => 0.0,
            };
            let (error, place) = difference(&found, &expected, case.smallest);
            let text = || {
                let (a, b) = (found.to_f64(), expected.to_f64());
                let found = a.get(place).copied().unwrap_or(f64::NAN);
                let expected = b.get(place).copied().unwrap_or(f64::NAN);
                format!(
                    "element {place} of {} is {found}, expected {expected}",
                    b.len()
                )
            };
            OutputResult {
                difference: (error > tolerance).then(text),
                name,
                error,
                tolerance,
            }
        })
        .collect()
}

/// `max |a - b| / max |b|` and the place of the worst element; with `smallest`,
/// `max (|a - b| / max(|b|, smallest))`.
pub(crate) fn difference(found: &Values, expected: &Values, smallest: Option<f64>) -> (f64, usize) {
    let (a, b) = (found.to_f64(), expected.to_f64());
    if a.len() != b.len() {
        return (f64::INFINITY, a.len().min(b.len()));
    }
    let finite = b.iter().copied().filter(|b| b.is_finite());
    let scale = finite
        .map(f64::abs)
        .fold(f64::from(f32::MIN_POSITIVE), f64::max);
    let words = matches!(expected, Values::U32(_));
    let error = |(a, b): (f64, f64)| match (a - b).abs() {
        _ if a == b || (a.is_nan() && b.is_nan()) => 0.0,
        distance if distance.is_finite() && !words => {
            distance / smallest.map_or(scale, |smallest| b.abs().max(smallest))
        }
        _ => f64::INFINITY,
    };
    let errors = a.into_iter().zip(b).map(error).enumerate();
    errors.fold(
        (0.0, 0),
        |worst, (i, error)| {
            if error > worst.0 { (error, i) } else { worst }
        },
    )
}

/// The largest relative error that results of this kind may have in f32.
fn tolerance(rounding: Rounding) -> f64 {
    match rounding {
        Rounding::None => 0.0,
        Rounding::Few => 1e-6,
        // Each of some thousand terms is rounded by 6e-8.
        Rounding::Sum => 1e-5,
        // WGSL allows `exp` some units in the last place, and `tanh` an absolute 1e-5.
        Rounding::Exponential => 2e-5,
        // WGSL allows a division 2.5 units in the last place, and leaves a root to
        // `1 / inverseSqrt`, within another 2.
        Rounding::Quotient => 2e-6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::cases;
    use crate::exec::Description;
    use crate::exec::host::{HostExecutor, Kernels, Memory};
    use crate::exec::reference::Reference;
    use crate::plan::{ClipGradients, Update};

    /// Computes nothing.
    struct NullKernels;

    impl Kernels for NullKernels {
        fn describe(&self) -> Description {
            Reference.describe()
        }

        fn run(&mut self, _op: &Op, _memory: &mut Memory<'_>) {}
    }

    #[test]
    fn every_case_runs_on_the_reference_and_fails_where_nothing_is_computed() {
        for case in cases::all() {
            let result = check_case(
                &|layout| Box::new(ReferenceExecutor::reference(layout)),
                &case,
            );
            assert!(result.passes(), "{}", result.message());
            let result = check_case(
                &|layout| Box::new(HostExecutor::new(NullKernels, layout)),
                &case,
            );
            let unchanged = match case.op() {
                Op::Update(Update { optimizer, .. }) => {
                    case.vars.contains("gradient=zero") && optimizer.weight_decay == 0.0
                }
                Op::ClipGradients(ClipGradients { norms: None, .. }) => {
                    ["clipvalue=1000", "gradient=zero"]
                        .iter()
                        .any(|v| case.vars.contains(v))
                }
                _ => false,
            };
            assert!(unchanged || !result.passes(), "{} passes", case.vars);
        }
    }

    #[test]
    fn differences_by_hand() {
        let f = |v: &[f32]| Values::F32(v.to_vec());
        let nan = f32::NAN;
        assert_eq!(difference(&f(&[1.0, nan]), &f(&[1.0, nan]), None), (0.0, 0));
        assert_eq!(
            difference(&f(&[1.0, 3.0]), &f(&[1.0, 4.0]), None),
            (0.25, 1)
        );
        let each = difference(&f(&[0.0, 3.0]), &f(&[1.0, 4.0]), Some(2.0));
        assert_eq!(each, (0.5, 0));
        assert_eq!(difference(&f(&[nan]), &f(&[1.0]), None), (f64::INFINITY, 0));
        let infinite = f(&[f32::INFINITY, 1.0]);
        assert_eq!(difference(&infinite, &infinite, None), (0.0, 0));
        assert_eq!(
            difference(&f(&[1.0, 1.0]), &infinite, None),
            (f64::INFINITY, 0)
        );
        let words = |v: &[u32]| Values::U32(v.to_vec());
        assert_eq!(
            difference(&words(&[1, 1000]), &words(&[1, 1001]), None),
            (f64::INFINITY, 1)
        );
    }
}
