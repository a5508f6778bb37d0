//! Divides a function of each element into what layers can do, one after the other.

use std::collections::BTreeSet;

use super::factors::Factors;
use super::terms::{Function, Term, TermOperand, TermOperation, activation};
use crate::model::Activation;

/// What a layer does to each element.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Activation(Activation),
    Times(Factors),
    Plus(Factors),
    /// The sum of two functions, given as terms.
    Sum([usize; 2]),
}

/// Activations consist of no more terms than this.
const MOST: usize = 64;
/// Functions consist of no more terms than this.
pub(super) const MOST_TERMS: usize = 1024;
/// Pieces, each with the number of its last term, behind the term that they start from.
pub(super) type Division = (usize, Vec<(Piece, usize)>);

/// The pieces of a function behind the last of the terms `is_known` through which everything goes. `used` are the terms
/// of the function, the last of which it is.
///
/// # Errors
/// The number of the first term that belongs to none.
pub(super) fn pieces(
    terms: &[Term],
    used: &[usize],
    is_known: impl Fn(usize) -> bool,
) -> Result<Division, usize> {
    let cuts = cuts(terms, used);
    let start = cuts.iter().rposition(|&(_, term)| is_known(term));
    let behind = cuts.get(start.unwrap_or(0)..).unwrap_or_default();
    let first = behind.first().map_or(0, |&(_, term)| term);
    Ok((first, divided(terms, used, behind)?))
}

/// The pieces between these cuts.
fn divided(
    terms: &[Term],
    used: &[usize],
    cuts: &[(usize, usize)],
) -> Result<Vec<(Piece, usize)>, usize> {
    let mut pieces = Vec::new();
    let mut i = 0;
    while let (Some(&(place, from)), Some(&(next, to))) = (cuts.get(i), cuts.get(i + 1)) {
        let linear = (next == place + 1).then(|| terms.get(to)).flatten();
        if let Some(linear) = linear.and_then(|term| linear_pieces(term, from)) {
            pieces.extend(linear.into_iter().map(|piece| (piece, to)));
            i += 1;
            continue;
        }
        // The shortest one that is known: one node is rather one layer than a part of one.
        let ends = cuts.iter().enumerate().skip(i + 1);
        let numbered = ends.map_while(|(j, &(end, to))| {
            let numbers = used.get(place + 1..=end).filter(|n| n.len() <= MOST)?;
            Some((j, numbers, to))
        });
        let mut known = numbered.filter_map(|(j, numbers, to)| {
            let activation = activation(terms, from, numbers)?;
            Some((j, Piece::Activation(activation), to))
        });
        let sum = || Some((i + 1, sum(terms.get(to)?)?, to));
        let (j, piece, last) = known.next().or_else(sum).ok_or(to)?;
        pieces.push((piece, last));
        i = j;
    }
    Ok(pieces)
}

/// The sum of two functions that a term is.
fn sum(term: &Term) -> Option<Piece> {
    match term {
        Term::Binary(TermOperation::Add, TermOperand::Term(a), TermOperand::Term(b)) => {
            Some(Piece::Sum([*a, *b]))
        }
        _ => None,
    }
}

/// The terms that `root` is a function of, in order, and itself; `None` if they are too many.
pub(super) fn used(terms: &[Term], root: usize) -> Option<Vec<usize>> {
    let mut found = BTreeSet::from([root]);
    let mut left = vec![root];
    while let Some(number) = left.pop() {
        let arguments = terms.get(number).into_iter().flat_map(Term::arguments);
        left.extend(arguments.filter(|&argument| found.insert(argument)));
        if found.len() > MOST_TERMS {
            return None;
        }
    }
    Some(found.into_iter().collect())
}

/// The terms through which everything goes, with their places among the used ones: all that comes
/// behind such a term is a function of it.
fn cuts(terms: &[Term], used: &[usize]) -> Vec<(usize, usize)> {
    let mut cuts = Vec::new();
    // The place in `used` of the last term that reads each one.
    let mut last_use = vec![0; used.len()];
    for (place, &number) in used.iter().enumerate() {
        for argument in terms.get(number).into_iter().flat_map(Term::arguments) {
            if let Some(last) = used
                .binary_search(&argument)
                .ok()
                .and_then(|i| last_use.get_mut(i))
            {
                *last = place;
            }
        }
    }
    let mut furthest = 0;
    for (place, &number) in used.iter().enumerate() {
        if furthest <= place {
            cuts.push((place, number));
        }
        furthest = furthest.max(last_use.get(place).copied().unwrap_or(0));
    }
    cuts
}

/// The pieces of a term that multiplies `from` or adds to it.
fn linear_pieces(term: &Term, from: usize) -> Option<Vec<Piece>> {
    let negated = || Piece::Times(Factors::one(-1.0));
    let (operation, a, b) = match term {
        Term::Unary(Function::Neg, argument) if *argument == from => return Some(vec![negated()]),
        Term::Binary(operation, a, b) => (*operation, a, b),
        _ => return None,
    };
    let pieces = match (operation, a, b) {
        (TermOperation::Add, TermOperand::Term(_), TermOperand::Constant(c))
        | (TermOperation::Add, TermOperand::Constant(c), TermOperand::Term(_)) => {
            vec![Piece::Plus(c.clone())]
        }
        (TermOperation::Mul, TermOperand::Term(_), TermOperand::Constant(c))
        | (TermOperation::Mul, TermOperand::Constant(c), TermOperand::Term(_)) => {
            vec![Piece::Times(c.clone())]
        }
        (TermOperation::Sub, TermOperand::Term(_), TermOperand::Constant(c)) => {
            vec![Piece::Plus(c.map(|v| -v))]
        }
        (TermOperation::Sub, TermOperand::Constant(c), TermOperand::Term(_)) => {
            vec![negated(), Piece::Plus(c.clone())]
        }
        (TermOperation::Div, TermOperand::Term(_), TermOperand::Constant(c)) => {
            vec![Piece::Times(c.map(f64::recip))]
        }
        _ => return None,
    };
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(terms: &[Term], root: usize) -> Result<Division, usize> {
        super::pieces(terms, &used(terms, root).unwrap(), |term| term == 0)
    }

    fn plus(a: usize, b: f64) -> Term {
        let b = TermOperand::Constant(Factors::one(b));
        Term::Binary(TermOperation::Add, TermOperand::Term(a), b)
    }

    fn times(a: usize, b: usize) -> Term {
        Term::Binary(
            TermOperation::Mul,
            TermOperand::Term(a),
            TermOperand::Term(b),
        )
    }

    #[test]
    fn a_function_is_divided_where_everything_goes_through_one_term() {
        let terms = [
            Term::Input,
            plus(0, 3.0),
            Term::Unary(Function::Sigmoid, 1),
            Term::Unary(Function::Log, 1),
            times(2, 1),
            Term::Unary(Function::Relu, 4),
            Term::Unary(Function::Relu, 5),
        ];
        assert_eq!(used(&terms, 6).unwrap(), [0, 1, 2, 4, 5, 6]);
        let (start, pieces) = pieces(&terms, 6).unwrap();
        let expected = [
            (Piece::Plus(Factors::one(3.0)), 1),
            (Piece::Activation(Activation::Silu), 4),
            (Piece::Activation(Activation::Relu), 5),
            (Piece::Activation(Activation::Relu), 6),
        ];
        assert_eq!((start, &pieces[..]), (0, &expected[..]));
        let behind = super::pieces(&terms, &[0, 1, 2, 4, 5, 6], |term| {
            [0, 2, 4].contains(&term)
        })
        .unwrap();
        assert_eq!(behind, (4, expected[2..].to_vec()));
    }

    #[test]
    fn sums_that_no_activation_is_are_divided() {
        let add = |a, b| {
            let [a, b] = [a, b].map(TermOperand::Term);
            Term::Binary(TermOperation::Add, a, b)
        };
        let terms = [
            Term::Input,
            Term::Unary(Function::Relu, 0),
            add(1, 0),
            Term::Unary(Function::Sigmoid, 2),
            add(3, 3),
        ];
        let expected = [
            (Piece::Sum([1, 0]), 2),
            (Piece::Activation(Activation::Sigmoid), 3),
            (Piece::Sum([3, 3]), 4),
        ];
        assert_eq!(pieces(&terms, 4), Ok((0, expected.to_vec())));
    }

    #[test]
    fn the_input_itself_has_no_pieces() {
        let terms = [Term::Input, plus(0, 1.0)];
        assert_eq!(pieces(&terms, 0), Ok((0, Vec::new())));
    }

    #[test]
    fn a_function_that_no_activation_has_is_named() {
        let terms = [
            Term::Input,
            Term::Unary(Function::Relu, 0),
            Term::Unary(Function::Clip(0.0, 6.0), 1),
        ];
        assert_eq!(pieces(&terms, 2), Err(2));
        assert_eq!(pieces(&[Term::Input, times(0, 0)], 1), Err(1));
    }
}
