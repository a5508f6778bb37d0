//! What `selfcheck` says of the operations.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{CaseResult, Factory, cases, check_case};
use crate::error::{Error, Result};
use crate::words::counted;

/// One operation over all its cases.
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
    /// The error that was allowed, the largest over the cases.
    pub tolerance: f64,
}

/// All operations, and the cases that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// In the order of the cases.
    pub ops: Vec<OpRow>,
    /// Every case that failed.
    pub failures: Vec<CaseResult>,
}

/// Runs the cases that match `filter` (all without one) and reports them by operation; `progress`
/// is called after each.
///
/// # Errors
/// No case matches.
pub fn check_ops(
    factory: Factory<'_>,
    filter: Option<&str>,
    progress: &mut dyn FnMut(&CaseResult),
) -> Result<Report> {
    let mut results = Vec::new();
    for case in cases::all() {
        if filter.is_none_or(|filter| case.matches(filter)) {
            let result = check_case(factory, &case);
            progress(&result);
            results.push(result);
        }
    }
    if results.is_empty() {
        return Err(Error::Argument(format!(
            "no case matches `{}`: expected an operation ({}) or words of a case, like `n=3 oc=7`",
            filter.unwrap_or_default(),
            cases::names().join(", ")
        )));
    }
    Ok(Report::new(&results))
}

impl Report {
    /// A report of these results.
    pub fn new(results: &[CaseResult]) -> Self {
        let mut names: Vec<&str> = results.iter().map(|r| r.op.as_str()).collect();
        names.dedup();
        let rows = names.iter().filter_map(|name| OpRow::new(name, results));
        Self {
            ops: rows.collect(),
            failures: results.iter().filter(|r| !r.passes()).cloned().collect(),
        }
    }

    /// No case failed.
    pub fn passes(&self) -> bool {
        self.failures.is_empty()
    }
}

impl OpRow {
    fn new(op: &str, results: &[CaseResult]) -> Option<Self> {
        let of_op: Vec<&CaseResult> = results.iter().filter(|r| r.op == op).collect();
        if of_op.is_empty() {
            return None;
        }
        let outputs = of_op.iter().flat_map(|r| &r.outputs);
        Some(Self {
            op: op.into(),
            cases: of_op.len(),
            failed: of_op.iter().filter(|r| !r.passes()).count(),
            worst: of_op.iter().map(|r| r.worst()).fold(0.0, f64::max),
            tolerance: outputs.map(|o| o.tolerance).fold(0.0, f64::max),
        })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.ops.iter().map(|row| row.op.len());
        let width = names.max().unwrap_or_default().max("operation".len());
        writeln!(
            f,
            "{:<width$} {:>5}  {:>11}  {:>7}",
            "operation", "cases", "worst error", "allowed"
        )?;
        for row in &self.ops {
            let verdict = match row.failed {
                0 => "pass".into(),
                n => format!("FAIL ({n})"),
            };
            writeln!(
                f,
                "{:<width$} {:>5}  {:>11.1e}  {:>7.0e}  {verdict}",
                row.op, row.cases, row.worst, row.tolerance
            )?;
        }
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

    fn check(filter: &str) -> Result<Report> {
        check_ops(
            &|layout| Box::new(ReferenceExecutor::reference(layout)),
            Some(filter),
            &mut |_| {},
        )
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
