//! The results of a case, compared with the reference's.

use serde::Serialize;

use crate::exec::Values;

/// An executor's outputs in one case, compared with the reference's.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// The operation, or the kind of step and the network.
    pub op: String,
    /// The case; see [`Case::vars`](super::Case::vars).
    pub vars: String,
    /// The tensors that were compared.
    pub outputs: Vec<OutputResult>,
    /// The error, if the executor failed. Then there are no outputs.
    pub failure: Option<String>,
}

/// The error of one tensor.
#[derive(Clone, Debug, Serialize)]
pub struct OutputResult {
    /// The buffer, or the parameter and which of its values were compared.
    pub name: String,
    /// For a step, the operations in the dispatch that computed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<String>,
    /// `max |a - b| / max |b|`. Infinite, and null in JSON, if only one of the two values is NaN or
    /// infinite, or if integers differ.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
    /// The worst element, if its error is not allowed.
    pub difference: Option<String>,
}

impl OutputResult {
    /// Compares the values found with the expected ones. For `smallest` see
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

    /// Whether the error is allowed.
    pub fn passes(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl CaseResult {
    /// Whether every error is allowed.
    pub fn passes(&self) -> bool {
        self.failure.is_none() && self.outputs.iter().all(OutputResult::passes)
    }

    /// The largest error of all outputs; infinite if the executor failed.
    pub fn worst(&self) -> f64 {
        match self.failure {
            Some(_) => f64::INFINITY,
            None => self.outputs.iter().map(|o| o.error).fold(0.0, f64::max),
        }
    }

    /// The errors that are not allowed, after the case, which can be pasted as a filter. Empty if
    /// it passes.
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
        if problems.is_empty() {
            return String::new();
        }
        format!("{}\n    {}", self.vars, problems.join("\n    "))
    }
}

/// `max |a - b| / max |b|` and the index of the worst element. With `smallest` it is
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

/// Whether all bits are the same.
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
