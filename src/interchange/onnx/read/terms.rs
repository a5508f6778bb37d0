//! Functions of each element of a layer's output, as graphs write them: in one node or in several.
//!
//! Exporters write the same activation in many ways. So it is not found by its nodes but by its
//! values: the function is evaluated at many numbers and compared with each known activation.

use super::factors::Factors;
use crate::model::Activation;
use crate::words::short;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Abs,
    Clip(f64, f64),
    Elu(f64),
    Erf,
    Exp,
    Gelu,
    /// GELU's approximation by `tanh`.
    TanhGelu,
    LeakyRelu(f64),
    Log,
    Neg,
    Reciprocal,
    Relu,
    Selu {
        alpha: f64,
        gamma: f64,
    },
    Sigmoid,
    Softplus,
    /// `x σ(αx)`
    Swish(f64),
    Tanh,
}

impl Function {
    fn apply(self, x: f64) -> f64 {
        match self {
            Self::Abs => x.abs(),
            Self::Clip(low, high) => x.max(low).min(high),
            Self::Elu(alpha) if x <= 0.0 => alpha * x.exp_m1(),
            Self::Erf => libm::erf(x),
            Self::Exp => x.exp(),
            Self::Gelu => Activation::Gelu.apply(x),
            Self::TanhGelu => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::LeakyRelu(alpha) if x <= 0.0 => alpha * x,
            Self::Log => x.ln(),
            Self::Neg => -x,
            Self::Reciprocal => x.recip(),
            Self::Relu => x.max(0.0),
            Self::Selu { alpha, gamma } if x <= 0.0 => gamma * alpha * x.exp_m1(),
            Self::Selu { gamma, .. } => gamma * x,
            Self::Elu(_) | Self::LeakyRelu(_) => x,
            Self::Sigmoid => Activation::Sigmoid.apply(x),
            Self::Softplus => Activation::Softplus.apply(x),
            Self::Swish(alpha) => x * Activation::Sigmoid.apply(alpha * x),
            Self::Tanh => x.tanh(),
        }
    }
}

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TermOperation {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Pow,
    /// 1 where it holds, else 0. Functions that are compared have no jump where both are equal.
    Greater,
    Less,
}

impl TermOperation {
    pub fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Min => a.min(b),
            Self::Max => a.max(b),
            Self::Pow => a.powf(b),
            Self::Greater => f64::from(a > b),
            Self::Less => f64::from(a < b),
        }
    }
}

/// What an operation is applied to.
#[derive(Clone, Debug)]
pub(super) enum TermOperand {
    /// The term of this number.
    Term(usize),
    Constant(Factors),
}

/// A function, in terms of earlier ones.
#[derive(Clone, Debug)]
pub(super) enum Term {
    /// The layer's output.
    Input,
    Unary(Function, usize),
    Binary(TermOperation, TermOperand, TermOperand),
    /// The second where the first is not 0, else the third.
    Select([TermOperand; 3]),
}

impl Term {
    /// The earlier terms that it is a function of.
    pub fn arguments(&self) -> impl Iterator<Item = usize> {
        let of = |operand: &TermOperand| match operand {
            TermOperand::Term(term) => Some(*term),
            TermOperand::Constant(_) => None,
        };
        let all = match self {
            Self::Input => [None; 3],
            Self::Unary(_, term) => [Some(*term), None, None],
            Self::Binary(_, a, b) => [of(a), of(b), None],
            Self::Select(operands) => operands.each_ref().map(of),
        };
        all.into_iter().flatten()
    }

    /// The same function of other terms, whatever elements are grouped into channels: with one number for all. `None`
    /// if it has several.
    pub fn renumbered(&self, of: impl Fn(usize) -> usize) -> Option<Self> {
        let operand = |operand: &TermOperand| match operand {
            TermOperand::Term(term) => Some(TermOperand::Term(of(*term))),
            TermOperand::Constant(factors) => factors.uniform().map(TermOperand::Constant),
        };
        Some(match self {
            Self::Input => Self::Input,
            Self::Unary(function, term) => Self::Unary(*function, of(*term)),
            Self::Binary(operation, a, b) => Self::Binary(*operation, operand(a)?, operand(b)?),
            Self::Select([a, b, c]) => Self::Select([operand(a)?, operand(b)?, operand(c)?]),
        })
    }

    /// What is peculiar about a function that no activation here is.
    pub fn peculiarity(&self) -> Option<String> {
        Some(match self {
            Self::Unary(Function::LeakyRelu(slope), _) => {
                format!(
                    "a slope of {} below zero; expected 0.2",
                    short(*slope as f32)
                )
            }
            Self::Unary(Function::Elu(alpha), _) => {
                format!("an alpha of {}; expected 1", short(*alpha as f32))
            }
            Self::Unary(Function::Clip(low, high), _) => {
                format!(
                    "values clipped to {} to {}",
                    short(*low as f32),
                    short(*high as f32)
                )
            }
            Self::Unary(Function::TanhGelu, _) => {
                "GELU's approximation by tanh; expected approximate = \"none\"".into()
            }
            _ => return None,
        })
    }

    /// Its value, given those of earlier terms; `None` if it is not the same for all channels.
    fn value(&self, of: impl Fn(usize) -> Option<f64>) -> Option<f64> {
        let operand = |operand: &TermOperand| match operand {
            TermOperand::Term(term) => of(*term),
            TermOperand::Constant(factors) => factors.single(),
        };
        match self {
            Self::Input => None,
            Self::Unary(function, term) => Some(function.apply(of(*term)?)),
            Self::Binary(operation, a, b) => Some(operation.apply(operand(a)?, operand(b)?)),
            Self::Select([condition, a, b]) => match operand(condition)? {
                0.0 => operand(b),
                _ => operand(a),
            },
        }
    }
}

/// Floats at which functions are compared. Beyond the first range, exporters' formulas may
/// overflow where the function itself does not.
const NEAR: f64 = 64.0;

/// The activation that the terms with these numbers compute, in this order, from the term `input`.
pub(super) fn activation(terms: &[Term], input: usize, numbers: &[usize]) -> Option<Activation> {
    let mut left = Activation::POINTWISE.to_vec();
    let mut values: Vec<(usize, f64)> = Vec::with_capacity(numbers.len() + 1);
    for x in probes() {
        values.clear();
        values.push((input, x));
        for &number in numbers {
            let of = |term| {
                let at = values.binary_search_by_key(&term, |&(number, _)| number);
                values.get(at.ok()?).map(|&(_, value)| value)
            };
            let value = terms.get(number)?.value(of)?;
            values.push((number, value));
        }
        let (_, y) = *values.last()?;
        left.retain(|activation| agree(activation.apply(x), y, x));
        left.first()?;
    }
    left.into_iter().next()
}

fn agree(wanted: f64, found: f64, x: f64) -> bool {
    let overflow = x.abs() > NEAR && !found.is_finite();
    // Constants of files are f32.
    overflow || (wanted - found).abs() <= 1e-6 * wanted.abs().max(1.0)
}

/// The numbers at which functions are compared. What differs should do so soon: at the ends, or in no order between them.
fn probes() -> impl Iterator<Item = f64> {
    let far = [1e2, 1e3, 1e4, 1e6].into_iter().flat_map(|x| [x, -x]);
    let fine = (-8..8).map(|i| (f64::from(i) + 0.3) / 64.0);
    // 389 has no divisor in common with 1025, so that all come once.
    let near = (0..1025).map(|i| f64::from(i * 389 % 1025 - 512) * NEAR / 512.0);
    far.chain(fine).chain(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(function: Function) -> Option<Activation> {
        activation(&[Term::Input, Term::Unary(function, 0)], 0, &[1])
    }

    #[test]
    fn operators_are_their_activations() {
        for (function, activation) in [
            (Function::Relu, Activation::Relu),
            (Function::Clip(0.0, f64::INFINITY), Activation::Relu),
            (
                Function::LeakyRelu(f64::from(0.2_f32)),
                Activation::LeakyRelu,
            ),
            (Function::Elu(1.0), Activation::Elu),
            (Function::Gelu, Activation::Gelu),
            (Function::Swish(1.0), Activation::Silu),
            (Function::Softplus, Activation::Softplus),
            (Function::Sigmoid, Activation::Sigmoid),
            (Function::Tanh, Activation::Tanh),
        ] {
            assert_eq!(found(function), Some(activation), "{function:?}");
        }
        let alpha = f64::from(1.673_263_2_f32);
        let gamma = f64::from(1.050_701_f32);
        assert_eq!(
            found(Function::Selu { alpha, gamma }),
            Some(Activation::Selu)
        );
    }

    #[test]
    fn similar_functions_are_told_apart() {
        for function in [
            Function::Clip(0.0, 6.0),
            Function::Clip(0.0, 5e5),
            Function::LeakyRelu(0.01),
            Function::LeakyRelu(0.200_01),
            Function::Elu(0.9),
            Function::TanhGelu,
            Function::Swish(1.702),
            Function::Selu {
                alpha: 1.0,
                gamma: 1.0507,
            },
            Function::Erf,
            Function::Abs,
            Function::Neg,
        ] {
            assert_eq!(found(function), None, "{function:?}");
        }
    }

    #[test]
    fn functions_that_differ_on_one_side_are_told_apart_at_once() {
        for start in [0.5, 3.0, 65.0, 9e5] {
            for side in [1.0, -1.0] {
                let sum = |x: f64| x.max(0.0) + (side * x - start).max(0.0);
                let differs = |&x: &f64| !agree(Activation::Relu.apply(x), sum(x), x);
                assert!(probes().take(8).find(differs).is_some(), "{side} {start}");
            }
        }
    }

    /// `operation` of a term and a number.
    fn with(operation: TermOperation, term: usize, number: f64) -> Term {
        let number = TermOperand::Constant(Factors::one(number));
        Term::Binary(operation, TermOperand::Term(term), number)
    }

    fn both(operation: TermOperation, a: usize, b: usize) -> Term {
        Term::Binary(operation, TermOperand::Term(a), TermOperand::Term(b))
    }

    #[test]
    fn functions_of_several_terms_are_found() {
        let silu = [
            Term::Input,
            Term::Unary(Function::Sigmoid, 0),
            both(TermOperation::Mul, 0, 1),
        ];
        assert_eq!(activation(&silu, 0, &[1, 2]), Some(Activation::Silu));
        let gelu = [
            Term::Input,
            with(TermOperation::Div, 0, f64::from(std::f32::consts::SQRT_2)),
            Term::Unary(Function::Erf, 1),
            with(TermOperation::Add, 2, 1.0),
            both(TermOperation::Mul, 0, 3),
            with(TermOperation::Mul, 4, 0.5),
        ];
        assert_eq!(
            activation(&gelu, 0, &[1, 2, 3, 4, 5]),
            Some(Activation::Gelu)
        );
        assert_eq!(activation(&gelu, 0, &[1, 2, 3, 4]), None);
        let softplus = [
            Term::Input,
            Term::Unary(Function::Exp, 0),
            with(TermOperation::Add, 1, 1.0),
            Term::Unary(Function::Log, 2),
        ];
        assert_eq!(
            activation(&softplus, 0, &[1, 2, 3]),
            Some(Activation::Softplus)
        );
    }
}
