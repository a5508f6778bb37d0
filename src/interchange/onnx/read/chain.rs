//! The layers so far, one after the other.

use super::factors::Factors;
use super::link::{Link, LinkKind};
use super::node::NodeRef;
use super::pieces::{Piece, pieces};
use super::terms::Term;
use super::value::Flow;
use super::view::AxisView;
use crate::error::FormatError;
use crate::model::Activation;

/// The layers so far, and functions of the elements of what the last of them makes.
pub(super) struct LinkChain {
    pub links: Vec<Link>,
    /// The shape of one sample behind the last layer: `[h, w, c]` or `[features]`.
    shape: Vec<usize>,
    /// The terms of functions of its elements, the first of which is the input.
    terms: Vec<NamedTerm>,
    /// How often a layer took over; only values of the last one can be read.
    layers: usize,
}

struct NamedTerm {
    term: Term,
    label: String,
    name: Option<String>,
}

impl LinkChain {
    /// No layers behind an input of this shape.
    pub fn new(input: [usize; 3]) -> Self {
        Self {
            links: Vec::new(),
            shape: input.to_vec(),
            terms: vec![input_term()],
            layers: 0,
        }
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The shape of the images behind the last layer.
    pub fn image(&self) -> Option<[usize; 3]> {
        self.shape.as_slice().try_into().ok()
    }

    /// The output of the last layer.
    pub fn flow(&self, view: AxisView) -> Flow {
        Flow {
            layers: self.layers,
            view,
            term: 0,
        }
    }

    /// A function of elements of the last layer's output.
    ///
    /// # Errors
    /// Another layer reads them already.
    pub fn apply(
        &mut self,
        node: &NodeRef<'_>,
        flow: &Flow,
        term: Term,
    ) -> Result<Flow, FormatError> {
        self.check(node, flow)?;
        self.terms.push(NamedTerm {
            term,
            label: node.label(),
            name: node.layer_name().map(str::to_owned),
        });
        Ok(Flow {
            term: self.terms.len() - 1,
            ..flow.clone()
        })
    }

    /// Checks that a value comes from the last layer.
    pub fn check(&self, node: &NodeRef<'_>, flow: &Flow) -> Result<(), FormatError> {
        if flow.layers == self.layers {
            return Ok(());
        }
        Err(node.error(
            "joins branches of the network; only networks whose layers follow one another can be read",
        ))
    }

    /// Appends the layers for the function that `flow` is, so that the next layer can read it.
    ///
    /// # Errors
    /// Another layer reads it already, or no layers compute the function.
    pub fn settle(&mut self, node: &NodeRef<'_>, flow: &Flow) -> Result<(), FormatError> {
        self.check(node, flow)?;
        let terms: Vec<Term> = self.terms.iter().map(|t| t.term.clone()).collect();
        let pieces = pieces(&terms, flow.term).map_err(|number| self.unknown(number))?;
        let named = std::mem::replace(&mut self.terms, vec![input_term()]);
        self.layers += 1;
        for (piece, number) in pieces {
            if let Some(named) = named.get(number) {
                self.add(piece, named);
            }
        }
        Ok(())
    }

    /// The error that no layers compute the function that a term ends.
    fn unknown(&self, number: usize) -> FormatError {
        let known = Activation::POINTWISE.map(Activation::name).join(", ");
        let Some(named) = self.terms.get(number) else {
            return "a function that no activation here computes".into();
        };
        let what = (named.term.peculiarity())
            .unwrap_or_else(|| "a function that no activation here computes".into());
        let message = format!(
            "{}: {what}; activations are {known}, with Keras's constants",
            named.label
        );
        message.into()
    }

    /// Appends the layer for a piece, or does it in the affine layer that is the last one.
    fn add(&mut self, piece: Piece, named: &NamedTerm) {
        if let Some(last) = self.links.last_mut()
            && joined(&mut last.kind, &piece)
        {
            last.name.clone_from(&named.name);
            return;
        }
        let kind = match piece {
            Piece::Activation(activation) => LinkKind::Activation(activation),
            Piece::Times(factors) => LinkKind::Affine {
                scale: Some(factors),
                shift: None,
            },
            Piece::Plus(factors) => LinkKind::Affine {
                scale: None,
                shift: Some(factors),
            },
        };
        self.links.push(Link {
            kind,
            label: named.label.clone(),
            name: named.name.clone(),
            input: self.shape.clone(),
        });
    }

    /// Appends a flattening of the graph's input, before all nodes.
    pub fn flatten(&mut self) {
        let features = self.shape.iter().product();
        self.links.push(Link {
            kind: LinkKind::Flatten,
            label: "the input".into(),
            name: None,
            input: std::mem::replace(&mut self.shape, vec![features]),
        });
    }

    /// Whether there is only the flattening of the input, and these axes are the image's.
    pub fn is_flattened_input(&self, view: &AxisView) -> bool {
        let [link] = self.links.as_slice() else {
            return false;
        };
        let image = <[usize; 3]>::try_from(link.input.as_slice());
        link.kind.is_flatten() && image.is_ok_and(|image| view.places(image).is_some())
    }

    /// Takes the last layer off again.
    pub fn undo(&mut self) {
        if let Some(link) = self.links.pop() {
            self.shape = link.input;
        }
    }

    /// Appends a layer with an output of this shape, which reads what was just settled.
    pub fn push(&mut self, node: &NodeRef<'_>, kind: LinkKind, output: Vec<usize>) {
        self.links.push(Link {
            kind,
            label: node.label(),
            name: node.layer_name().map(str::to_owned),
            input: std::mem::replace(&mut self.shape, output),
        });
    }
}

fn input_term() -> NamedTerm {
    NamedTerm {
        term: Term::Input,
        label: String::new(),
        name: None,
    }
}

/// Does a piece in addition to what an affine layer does, unless that would merge two layers which
/// both multiply by one number.
fn joined(kind: &mut LinkKind, piece: &Piece) -> bool {
    let LinkKind::Affine { scale, shift } = kind else {
        return false;
    };
    let combined = |old: &Option<Factors>, factors: &Factors, combine: fn(f64, f64) -> f64| {
        let combined = old.as_ref().map(|old| old.zip(factors, combine));
        combined.unwrap_or_else(|| factors.clone())
    };
    match piece {
        Piece::Activation(_) => return false,
        Piece::Plus(factors) => *shift = Some(combined(shift, factors, |a, b| a + b)),
        Piece::Times(factors) => {
            let factor = |factors: &Factors| factors.single().is_some();
            let one = factor(factors) && shift.iter().all(factor);
            if one && scale.as_ref().is_some_and(factor) {
                return false;
            }
            *scale = Some(combined(scale, factors, |a, b| a * b));
            *shift = shift.as_ref().map(|old| old.zip(factors, |a, b| a * b));
        }
    }
    true
}
