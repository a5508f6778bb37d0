//! The layers so far, and what is computed from their outputs.

use std::collections::HashMap;

use super::budget::ElementBudget;
use super::link::{Link, LinkKind};
use super::node::NodeRef;
use super::pieces::{MOST_TERMS, Piece, pieces, used};
use super::terms::Term;
use super::value::Flow;
use super::view::AxisView;
use crate::error::FormatError;
use crate::model::Activation;

/// Graphs have no more layers than this, and joins no more inputs together.
const MOST_LINKS: usize = 10_000;
const MOST_JOINED: usize = 100_000;
/// Sums of functions of one output are no deeper in each other than this.
const DEEPEST: usize = 64;
/// How many numbers each channel of a layer that multiplies and adds has in the end: those of a batch normalization.
const PER_CHANNEL: usize = 4;

/// Layers that take each other's outputs.
pub(super) struct LinkGraph {
    links: Vec<Link>,
    /// The input, and the output of each layer.
    outputs: Vec<LinkOutput>,
    /// The number of the node that is read, from which layers get their order.
    pub node: usize,
    /// How much more may be computed from constants, and copied into layers.
    pub budget: ElementBudget,
    /// How many more inputs joins may have.
    joinable: usize,
    /// Whether the first layer flattens the input, before all nodes.
    has_rows: bool,
    /// Terms of the flattened input, as terms of the input.
    unflattened: HashMap<usize, usize>,
}

/// The output of a layer, and functions of its elements.
struct LinkOutput {
    /// The shape of one sample: `[h, w, c]` or `[features]`.
    shape: Vec<usize>,
    /// The functions, the first of which is the output itself.
    terms: Vec<Term>,
    /// What each of them is called.
    labels: Vec<TermLabel>,
    /// The outputs that the functions are for which there are layers already.
    settled: HashMap<usize, usize>,
    /// Whether no element is negative.
    is_positive: bool,
}

#[derive(Clone, Default)]
struct TermLabel {
    label: String,
    name: Option<String>,
    /// The number of its node.
    node: usize,
}

impl TermLabel {
    fn new(node: &NodeRef<'_>, number: usize) -> Self {
        Self {
            label: node.label(),
            name: node.layer_name().map(str::to_owned),
            node: number,
        }
    }
}

impl LinkOutput {
    fn new(shape: Vec<usize>, is_positive: bool) -> Self {
        Self {
            shape,
            terms: vec![Term::Input],
            labels: vec![TermLabel::default()],
            settled: HashMap::new(),
            is_positive,
        }
    }
}

impl LinkGraph {
    /// No layers behind an input of this shape.
    pub fn new(input: [usize; 3]) -> Self {
        Self {
            links: Vec::new(),
            outputs: vec![LinkOutput::new(input.to_vec(), false)],
            node: 0,
            budget: ElementBudget::new(),
            joinable: MOST_JOINED,
            has_rows: false,
            unflattened: HashMap::new(),
        }
    }

    /// The input, flattened before all nodes if it is given as rows.
    pub fn input(&mut self, view: AxisView, is_rows: bool) -> Flow {
        if is_rows {
            let features = self.outputs[0].shape.iter().product();
            let label = TermLabel {
                label: "the input".into(),
                ..TermLabel::default()
            };
            self.has_rows = true;
            self.append(label, LinkKind::Flatten, &[0], vec![features]);
        }
        self.flow(self.links.len(), view)
    }

    /// The shape of one sample of the output that a value is a function of.
    pub fn shape(&self, flow: &Flow) -> &[usize] {
        &self.outputs[flow.output].shape
    }

    /// The shape of the images that a value is a function of.
    pub fn image(&self, flow: &Flow) -> Option<[usize; 3]> {
        self.shape(flow).try_into().ok()
    }

    /// An output with these axes.
    pub fn flow(&self, output: usize, view: AxisView) -> Flow {
        Flow {
            output,
            view,
            term: 0,
        }
    }

    /// The layer that makes an output; `None` is the input.
    pub fn maker(&self, output: usize) -> Option<&Link> {
        self.links.get(output.checked_sub(1)?)
    }

    /// The only output that the layer takes which makes this one.
    pub fn before(&self, output: usize) -> Option<usize> {
        match self.maker(output)?.from[..] {
            [from] => Some(from.map_or(0, |link| link + 1)),
            _ => None,
        }
    }

    /// Whether no element of an output is negative, so that zeros around images change no maximum.
    pub fn is_positive(&self, output: usize) -> bool {
        self.outputs[output].is_positive
    }

    /// A function of elements of an output.
    pub fn apply(&mut self, node: &NodeRef<'_>, flow: &Flow, term: Term) -> Flow {
        let label = TermLabel::new(node, self.node);
        let output = &mut self.outputs[flow.output];
        output.terms.push(term);
        output.labels.push(label);
        Flow {
            term: output.terms.len() - 1,
            ..flow.clone()
        }
    }

    /// The output that is the function which `flow` is, after layers that compute it.
    ///
    /// # Errors
    /// No layers compute the function, or there are too many layers.
    pub fn settle(&mut self, node: &NodeRef<'_>, flow: &Flow) -> Result<usize, FormatError> {
        self.settled(node, (flow.output, flow.term), 0)
    }

    fn settled(
        &mut self,
        node: &NodeRef<'_>,
        (output, term): (usize, usize),
        depth: usize,
    ) -> Result<usize, FormatError> {
        let of = &self.outputs[output];
        let known = |term: usize| match term {
            0 => Some(output),
            term => of.settled.get(&term).copied(),
        };
        if let Some(known) = known(term) {
            return Ok(known);
        }
        if depth > DEEPEST {
            return Err(node.error(format!("sums are nested more than {DEEPEST} deep")));
        }
        let used = used(&of.terms, term).ok_or_else(|| too_long(node))?;
        let found = pieces(&of.terms, &used, |term| known(term).is_some());
        let (start, pieces) = found.map_err(|number| self.unknown(output, number))?;
        let mut last = known(start).unwrap_or(output);
        // The term whose layer is new, so that nothing else takes its output.
        let mut new = None;
        for (piece, number) in pieces {
            let label = self.outputs[output].labels[number].clone();
            self.charge(node, &piece, new.map(|_| last))?;
            if let Some(before) = new.filter(|_| self.is_joined(last, &piece, &label)) {
                self.outputs[output].settled.remove(&before);
            } else {
                let (kind, from) = match piece {
                    Piece::Sum(terms) => {
                        let mut from = [last; 2];
                        for (from, term) in from.iter_mut().zip(terms) {
                            *from = self.settled(node, (output, term), depth + 1)?;
                        }
                        (LinkKind::Sum, from.to_vec())
                    }
                    Piece::Activation(activation) => (LinkKind::Activation(activation), vec![last]),
                    Piece::Times(scale) => (LinkKind::scaled(scale), vec![last]),
                    Piece::Plus(shift) => (LinkKind::shifted(shift), vec![last]),
                };
                self.check(node, from.len())?;
                let shape = self.outputs[output].shape.clone();
                last = self.append(label, kind, &from, shape);
            }
            self.outputs[output].settled.insert(number, last);
            new = Some(number);
        }
        Ok(last)
    }

    /// Takes what a piece adds from the budget, if it has or gets a number for each channel; it may become part of the
    /// layer that makes the output `before`.
    fn charge(
        &mut self,
        node: &NodeRef<'_>,
        piece: &Piece,
        before: Option<usize>,
    ) -> Result<(), FormatError> {
        let (Piece::Times(factors) | Piece::Plus(factors)) = piece else {
            return Ok(());
        };
        let before = before.and_then(|output| self.maker(output));
        let before = before.map_or(1, |link| link.kind.factors());
        match factors.values.len().max(before) {
            1 => Ok(()),
            channels => (self.budget).spend(node, channels.saturating_mul(PER_CHANNEL)),
        }
    }

    /// The error that no layers compute the function that a term ends.
    fn unknown(&self, output: usize, number: usize) -> FormatError {
        let known = Activation::POINTWISE.map(Activation::name).join(", ");
        let output = &self.outputs[output];
        let (Some(term), Some(label)) = (output.terms.get(number), output.labels.get(number))
        else {
            return "a function that no activation here computes".into();
        };
        let what = term
            .peculiarity()
            .unwrap_or_else(|| "a function that no activation here computes".into());
        let label = &label.label;
        format!("{label}: {what}; activations are {known}, with Keras's constants").into()
    }

    /// Lets the affine layer that makes an output do a piece as well, if it can.
    fn is_joined(&mut self, output: usize, piece: &Piece, label: &TermLabel) -> bool {
        let link = output.checked_sub(1).and_then(|i| self.links.get_mut(i));
        link.is_some_and(|link| {
            let joins = link.kind.join(piece);
            if joins {
                link.name.clone_from(&label.name);
                link.node = label.node;
            }
            joins
        })
    }

    /// The value `flow` with these axes, as a function of the input, if that was flattened before all nodes and the axes
    /// are those of its images: an input of vectors that becomes images was one of images.
    ///
    /// # Errors
    /// It is a function of too many others, or of a constant that is not the same for all pixels.
    pub fn unflattened(
        &mut self,
        node: &NodeRef<'_>,
        flow: &Flow,
        view: &AxisView,
    ) -> Result<Option<Flow>, FormatError> {
        let image = <[usize; 3]>::try_from(&self.outputs[0].shape[..]);
        let is_image = image.is_ok_and(|image| view.places(image).is_some());
        if !(self.has_rows && flow.output == 1 && is_image) {
            return Ok(None);
        }
        let [input, rows, ..] = &mut self.outputs[..] else {
            return Ok(None);
        };
        let used = used(&rows.terms, flow.term).ok_or_else(|| too_long(node))?;
        let moved = &mut self.unflattened;
        for number in used {
            if number == 0 || moved.contains_key(&number) {
                continue;
            }
            let (term, label) = (&rows.terms[number], &rows.labels[number]);
            let term = term.renumbered(|term| moved.get(&term).copied().unwrap_or(0));
            let term = term.ok_or_else(|| {
                let what = "one number per pixel before the reshape to images";
                format!("{}: {what}; expected one number for all", label.label)
            })?;
            moved.insert(number, input.terms.len());
            input.terms.push(term);
            input.labels.push(label.clone());
        }
        Ok(Some(Flow {
            output: 0,
            view: view.clone(),
            term: moved.get(&flow.term).copied().unwrap_or(0),
        }))
    }

    /// Adds a layer that takes these outputs and makes one of this shape.
    ///
    /// # Errors
    /// There are too many layers.
    pub fn push(
        &mut self,
        node: &NodeRef<'_>,
        kind: LinkKind,
        from: &[usize],
        shape: Vec<usize>,
    ) -> Result<usize, FormatError> {
        self.check(node, from.len())?;
        Ok(self.append(TermLabel::new(node, self.node), kind, from, shape))
    }

    /// Checks that there may be one more layer, with so many inputs.
    fn check(&mut self, node: &NodeRef<'_>, inputs: usize) -> Result<(), FormatError> {
        if self.links.len() >= MOST_LINKS {
            return Err(node.error(format!("is behind more than {MOST_LINKS} layers")));
        }
        let left = self.joinable.checked_sub(inputs);
        self.joinable = left.ok_or_else(|| {
            node.error(format!("is behind joins of more than {MOST_JOINED} values"))
        })?;
        Ok(())
    }

    fn append(
        &mut self,
        label: TermLabel,
        kind: LinkKind,
        from: &[usize],
        shape: Vec<usize>,
    ) -> usize {
        let all_positive = || from.iter().all(|&from| self.outputs[from].is_positive);
        let is_positive = kind.is_positive().unwrap_or_else(all_positive);
        let first = from.first().map_or(0, |&first| first);
        self.links.push(Link {
            kind,
            label: label.label,
            name: label.name,
            node: label.node,
            input: self.outputs[first].shape.clone(),
            from: from.iter().map(|from| from.checked_sub(1)).collect(),
        });
        self.outputs.push(LinkOutput::new(shape, is_positive));
        self.links.len()
    }

    /// The layers that lead to an output, in the order of their nodes.
    pub fn leading_to(self, output: usize) -> Vec<Link> {
        let mut leads = vec![false; self.links.len()];
        let mut left: Vec<usize> = output.checked_sub(1).into_iter().collect();
        while let Some(link) = left.pop() {
            if !std::mem::replace(&mut leads[link], true) {
                left.extend(self.links[link].from.iter().flatten());
            }
        }
        let mut order: Vec<usize> = (0..leads.len()).filter(|&link| leads[link]).collect();
        // A layer's node never comes before those of its inputs; and of one node, layers are made one after the other.
        order.sort_by_key(|&link| self.links[link].node);
        let mut numbers = vec![0; leads.len()];
        (order.iter().enumerate()).for_each(|(number, &link)| numbers[link] = number);
        let mut links: Vec<Option<Link>> = self.links.into_iter().map(Some).collect();
        let ordered = order.into_iter().filter_map(|link| links[link].take());
        let mut ordered: Vec<Link> = ordered.collect();
        for from in ordered.iter_mut().flat_map(|link| &mut link.from).flatten() {
            *from = numbers[*from];
        }
        ordered
    }
}

fn too_long(node: &NodeRef<'_>) -> FormatError {
    node.error(format!(
        "is behind a function of more than {MOST_TERMS} steps without a layer between them"
    ))
}
