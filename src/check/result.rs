//! How far results are from the reference's.

use serde::Serialize;

use crate::exec::Values;

/// How far an executor's outputs are from the reference's in one case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// The operation.
    pub op: String,
    /// The case; see [`Case::vars`](super::Case::vars).
    pub vars: String,
    /// Each tensor that the operation made.
    pub outputs: Vec<OutputResult>,
    /// Why there are no outputs, if the executor failed.
    pub failure: Option<String>,
}

/// How far one tensor is from the reference's.
#[derive(Clone, Debug, Serialize)]
pub struct OutputResult {
    /// The buffer, or what is compared of a parameter.
    pub name: String,
    /// The operations in the dispatch that computes it, if it comes from a whole step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<String>,
    /// `max |a - b| / max |b|`; infinite where one is NaN, infinite or another word and the other
    /// is not, and then null in JSON.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
    /// The worst element, if it is too far off.
    pub difference: Option<String>,
}

impl OutputResult {
    /// Compares what was found with what is expected; `smallest` as for
    /// [`Case::smallest`](super::Case::smallest).
    pub(super) fn new(
        name: String,
        [found, expected]: [&Values; 2],
        tolerance: f64,
        smallest: Option<f64>,
    ) -> Self {
        let (error, place) = difference(found, expected, smallest);
        let text = || {
            let (a, b) = (found.to_f64(), expected.to_f64());
            let found = a.get(place).copied().unwrap_or(f64::NAN);
            let expected = b.get(place).copied().unwrap_or(f64::NAN);
            format!(
                "element {place} of {} is {found}, expected {expected}",
                b.len()
            )
        };
        Self {
            difference: (error > tolerance).then(text),
            name,
            dispatch: None,
            error,
            tolerance,
        }
    }

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
            let dispatch = o.dispatch.as_ref();
            let dispatch = dispatch.map_or(String::new(), |from| format!(" (from {from})"));
            format!(
                "`{}`{dispatch} is off by {:.1e}, allowed {:.1e}: {difference}",
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

/// Whether values are the same to the bit.
pub(super) fn same_bits(a: &Values, b: &Values) -> bool {
    let bits = |v: &Values| match v {
        Values::F32(v) => v.iter().map(|x| x.to_bits()).collect(),
        Values::U32(v) => v.clone(),
    };
    bits(a) == bits(b)
}

#[cfg(test)]
mod tests {
    use super::*;

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
