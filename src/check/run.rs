//! Runs a case on an executor and on the reference, and compares the results.

use std::sync::Arc;

use super::result::same_bits;
use super::{Case, CaseResult, Factory, OutputResult};
use crate::error::{Error, Result};
use crate::exec::reference::ReferenceExecutor;
use crate::exec::{DataId, GradientSum, Inspect, Program, Step, Values};
use crate::plan::{Element, Op, Rounding};
use crate::rng::Key;

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

/// A buffer's name and contents.
type NamedValues = (String, Values);

/// How often a case is run. Data races show up as different bytes sooner or later.
const RUNS: usize = 3;

/// Runs the operation `runs` times and returns everything that it wrote, which must be the same
/// bytes each time.
fn outputs(executor: &mut dyn Inspect, case: &Case, runs: usize) -> Result<Vec<NamedValues>> {
    let program = executor.compile(&case.plan)?;
    let step = Step {
        program,
        data: load(executor, case)?,
        offset: case.source.as_ref().map_or(0, |source| source.offset),
        rows: case.rows,
        rates: case.rates,
        key: Key::of_step(0, 1),
        part: case.part,
        sum: GradientSum::default(),
    };
    // A penalty adds to the existing loss, so a second run would give another sum.
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
            return Err(Error::device(format!(
                "run {run} of the same operation wrote different bytes to `{name}`: its invocations race"
            )));
        }
    }
    Ok(first)
}

fn outputs_once(executor: &mut dyn Inspect, case: &Case, step: &Step) -> Result<Vec<NamedValues>> {
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

/// Fills the outputs with NaN, so that an element that the operation does not write is noticed.
fn poison(executor: &mut dyn Inspect, program: Program, case: &Case) -> Result<()> {
    let reads = case.op().reads();
    for id in case.op().writes() {
        let buffer = case.plan.buffer(id);
        let values = match buffer.element {
            // Updated weights and penalized gradients are inputs too.
            _ if reads.contains(&id) => continue,
            Element::F32 => Values::F32(vec![f32::from_bits(u32::MAX); buffer.len()]),
            Element::U32 => Values::U32(vec![u32::MAX; buffer.len()]),
        };
        executor.write(program, id, &values)?;
    }
    Ok(())
}

fn metrics(executor: &mut dyn Inspect) -> Result<Vec<NamedValues>> {
    let metrics = executor.completed(true)?.pop().unwrap_or_default();
    Ok(vec![
        ("loss sum".into(), Values::F32(vec![metrics.loss_sum])),
        ("correct".into(), Values::U32(vec![metrics.correct])),
        ("rows".into(), Values::U32(vec![metrics.rows])),
    ])
}

fn moments(executor: &mut dyn Inspect, case: &Case) -> Result<Vec<NamedValues>> {
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

fn compare(case: &Case, found: Vec<NamedValues>, expected: Vec<NamedValues>) -> Vec<OutputResult> {
    let pairs = found.into_iter().zip(expected);
    pairs
        .map(|((name, found), (_, expected))| {
            let tolerance = match expected {
                Values::F32(_) => tolerance(case.op().operation().rounding()),
                Values::U32(_) => 0.0,
            };
            OutputResult::new(name, [&found, &expected], tolerance, case.smallest)
        })
        .collect()
}

/// The largest relative error allowed for results of this kind in f32.
fn tolerance(rounding: Rounding) -> f64 {
    match rounding {
        Rounding::None => 0.0,
        Rounding::Few => 1e-6,
        // Each of up to some thousand terms has a rounding error of 6e-8.
        Rounding::Sum => 1e-5,
        // WGSL allows an error of a few units in the last place for `exp`, and of 1e-5 for `tanh`.
        Rounding::Exponential => 2e-5,
        // WGSL allows an error of 2.5 units in the last place for a division, and another 2 for a
        // root, which may be computed as `1 / inverseSqrt`.
        Rounding::Quotient => 2e-6,
        // An error of 4e-6 in each coordinate, of some tens, between pixels that differ by 2.
        Rounding::Place => 2e-5,
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

    /// Kernels that compute nothing.
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
}
