//! The report of `selfcheck` on single operations.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{CaseResult, Factory, cases, check_case, check_step, steps};
use crate::error::{Error, Result};
use crate::words::counted;

/// The results of one operation over all its cases.
#[derive(Clone, Debug, Serialize)]
pub struct OpRow {
    /// The operation.
    pub op: String,
    /// Cases that ran.
    pub cases: usize,
    /// Cases that failed.
    pub failed: usize,
    /// The largest error in any of them; null in JSON if it is infinite.
    pub worst: f64,
    /// The allowed error, the largest over the cases.
    pub tolerance: f64,
}

/// The results of all operations, and the failed cases.
#[derive(Clone, Debug, Serialize)]
pub struct OpsReport {
    /// In the order of the cases.
    pub ops: Vec<OpRow>,
    /// Every case that failed.
    pub failures: Vec<CaseResult>,
    /// The whole steps with all that was compared, whether it failed or not.
    pub steps: Vec<CaseResult>,
}

/// What [`check_ops`] reports while it runs.
#[derive(Clone, Copy, Debug)]
pub enum CheckEvent<'a> {
    /// A case is about to run.
    Begins(&'a str),
    /// The case has finished.
    Ends(&'a CaseResult),
    /// All cases of an operation have finished.
    Row(&'a OpRow),
}

/// Runs the cases that match `filter`, or all cases, operation by operation.
///
/// # Errors
/// No case matches.
pub fn check_ops(
    factory: Factory<'_>,
    filter: Option<&str>,
    on_event: &mut dyn FnMut(CheckEvent<'_>),
) -> Result<OpsReport> {
    let mut report = OpsReport {
        ops: Vec::new(),
        failures: Vec::new(),
        steps: Vec::new(),
    };
    let mut cases = cases::all();
    cases.retain(|case| filter.is_none_or(|filter| case.matches(filter)));
    for of_op in cases.chunk_by(|a, b| a.op().name() == b.op().name()) {
        let results = of_op.iter().map(|case| {
            on_event(CheckEvent::Begins(&case.vars));
            let result = check_case(factory, case);
            on_event(CheckEvent::Ends(&result));
            result
        });
        let results: Vec<CaseResult> = results.collect();
        on_event(CheckEvent::Row(report.add(&results)));
    }
    let mut steps = steps::all();
    steps.retain(|case| filter.is_none_or(|filter| case.matches(filter)));
    for case in &steps {
        on_event(CheckEvent::Begins(&case.vars));
        let result = check_step(factory, case);
        on_event(CheckEvent::Ends(&result));
        on_event(CheckEvent::Row(report.add(std::slice::from_ref(&result))));
        report.steps.push(result);
    }
    if report.ops.is_empty() {
        return Err(Error::Argument(format!(
            "no case matches `{}`: expected an operation ({}), `training_step`, `inference_step` or words of a case, like `n=3 oc=7`",
            filter.unwrap_or_default(),
            cases::names().join(", ")
        )));
    }
    Ok(report)
}

impl OpsReport {
    /// Takes in the results of one row.
    fn add(&mut self, results: &[CaseResult]) -> &OpRow {
        let failures = results.iter().filter(|r| !r.passes());
        self.failures.extend(failures.cloned());
        self.ops.push(OpRow::new(results));
        &self.ops[self.ops.len() - 1]
    }

    /// Whether no case failed.
    pub fn passes(&self) -> bool {
        self.failures.is_empty()
    }
}

impl OpRow {
    fn new(results: &[CaseResult]) -> Self {
        let outputs = results.iter().flat_map(|r| &r.outputs);
        Self {
            op: results.first().map_or(String::new(), |r| r.op.clone()),
            cases: results.len(),
            failed: results.iter().filter(|r| !r.passes()).count(),
            worst: results.iter().map(|r| r.worst()).fold(0.0, f64::max),
            tolerance: outputs.map(|o| o.tolerance).fold(0.0, f64::max),
        }
    }

    /// The header of the table.
    pub fn heads() -> String {
        format!(
            "{:<WIDTH$} {:>5}  {:>11}  {:>7}",
            "operation", "cases", "worst error", "allowed"
        )
    }
}

/// Width of the first column, the longest name of an operation.
const WIDTH: usize = 26;

impl Display for OpRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = match self.failed {
            0 => "pass".into(),
            n => format!("FAIL ({n})"),
        };
        write!(
            f,
            "{:<WIDTH$} {:>5}  {:>11.1e}  {:>7.0e}  {verdict}",
            self.op, self.cases, self.worst, self.tolerance
        )
    }
}

/// The text below the rows: the failures and the counts.
impl Display for OpsReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "failed: {}", failure.message())?;
        }
        let cases: usize = self.ops.iter().map(|row| row.cases).sum();
        match self.failures.len() {
            0 if cases == 1 => writeln!(f, "the one case agrees with the reference"),
            0 => writeln!(f, "all {cases} cases agree with the reference"),
            n => {
                let cases = counted(cases, "case");
                let differ = if n == 1 { "differs" } else { "differ" };
                writeln!(f, "{n} of {cases} {differ} from the reference")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::reference::ReferenceExecutor;

    fn check(filter: &str) -> Result<OpsReport> {
        check_ops(
            &|layout| Box::new(ReferenceExecutor::reference(layout)),
            Some(filter),
            &mut |_| {},
        )
    }

    #[test]
    fn every_name_fits_in_its_column() {
        let names = cases::names().into_iter().map(str::len);
        let steps = steps::all().into_iter().map(|case| case.name.len());
        let longest = names.chain(steps).max();
        assert_eq!(longest, Some(WIDTH));
    }

    #[test]
    fn a_case_is_reported_before_it_runs_and_a_row_when_complete() {
        let mut events = Vec::new();
        let reference: Factory<'_> = &|layout| Box::new(ReferenceExecutor::reference(layout));
        check_ops(reference, Some("dense_forward n=3"), &mut |event| {
            events.push(match event {
                CheckEvent::Begins(case) => format!("begins {case}"),
                CheckEvent::Ends(result) => format!("ends {}", result.vars),
                CheckEvent::Row(row) => format!("row {} {}", row.op, row.cases),
            });
        })
        .unwrap();
        let [a, b, c, d, row] = &events[..] else {
            panic!("{events:?}")
        };
        let case = a.strip_prefix("begins ").unwrap();
        assert_eq!(*b, format!("ends {case}"));
        let case = c.strip_prefix("begins ").unwrap();
        assert_eq!(*d, format!("ends {case}"));
        assert_eq!(row, "row dense_forward 2");
    }

    #[test]
    fn a_filter_selects_cases_by_their_words() {
        let report = check("dense_forward n=3").unwrap();
        assert_eq!((report.ops.len(), report.ops[0].cases), (1, 2));
        let text = report.to_string();
        assert!(
            text.ends_with("all 2 cases agree with the reference\n"),
            "{text}"
        );
        assert_eq!(check("dense n=3 in=64").unwrap().ops.len(), 3);
        assert!(
            check("no such case")
                .unwrap_err()
                .to_string()
                .contains("gather")
        );
    }
}
