//! Convolutions, dense layers and their gradients: a table of algorithms for each pass, of which
//! the first that applies is used.
//!
//! A new algorithm needs one row here and its text. The kernel variants of `selfcheck` and the
//! tests follow from the names of the rows.

use super::super::call::Call;
use super::super::operand::Operand;
use super::super::tiled::{Epilogue, ExtraBindings, Unpool};
use super::super::tuning::{PLAIN, Tuning};
use super::passes::{
    BackwardInput, BackwardWeight, Forward, backward_input, backward_weight, forward,
};
use super::shared::{Split, through_operand, window_sizes};
use super::update::BLOCK;
use crate::plan::{ConvShape, Through};

/// An algorithm for the pass `P`.
pub(super) struct Candidate<P> {
    /// Its name, for [`Tuning::algorithm`].
    name: &'static str,
    /// Whether it supports this pass.
    applies: fn(&P) -> bool,
    /// Its calls; `None` if they would be too large.
    calls: fn(&P, &Tuning) -> Option<Calls>,
}

/// The calls of a pass.
pub(super) struct Calls {
    /// In order.
    pub(super) calls: Vec<Call<Operand>>,
    /// The layout of their partial gradients, if they do not write whole gradients.
    pub(super) partials: Option<Partials>,
}

/// The layout of partial gradients of a kernel and a bias, in floats from the pass's first partial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partials {
    /// The offset of the bias's gradient in each partial.
    pub(super) bias_at: usize,
    /// The distance between partials.
    pub(super) stride: usize,
    /// The number of partials.
    pub(super) splits: usize,
}

impl From<Call<Operand>> for Calls {
    fn from(call: Call<Operand>) -> Self {
        Self {
            calls: vec![call],
            partials: None,
        }
    }
}

/// The algorithms for a forward pass.
const FORWARD: &[Candidate<Forward>] = &[
    Candidate {
        name: "tiled",
        applies: |pass| pass.shape.is_plain(),
        calls: Forward::tiled,
    },
    Candidate {
        name: PLAIN,
        applies: |pass| pass.pool.is_none(),
        calls: Forward::plain,
    },
];

/// The algorithms for an input gradient.
const BACKWARD_INPUT: &[Candidate<BackwardInput>] = &[
    Candidate {
        name: "tiled",
        applies: |pass| pass.shape.is_plain(),
        calls: BackwardInput::tiled,
    },
    Candidate {
        name: PLAIN,
        applies: |pass| pass.absorbed().is_none(),
        calls: BackwardInput::plain,
    },
];

/// The algorithms for the gradients of a kernel and a bias.
const BACKWARD_WEIGHT: &[Candidate<BackwardWeight>] = &[
    Candidate {
        name: "tiled",
        applies: |pass| pass.shape.is_plain(),
        calls: BackwardWeight::tiled,
    },
    Candidate {
        name: PLAIN,
        applies: |pass| pass.absorbed().is_none(),
        calls: BackwardWeight::plain,
    },
];

/// The names of the rows of each table, in order of preference.
pub fn algorithms() -> [Vec<&'static str>; 3] {
    [
        names(FORWARD),
        names(BACKWARD_INPUT),
        names(BACKWARD_WEIGHT),
    ]
}

fn names<P>(table: &[Candidate<P>]) -> Vec<&'static str> {
    table.iter().map(|row| row.name).collect()
}

/// The calls of the row that the tuning requests if it applies, otherwise of the first that does.
fn choose<P>(table: &[Candidate<P>], pass: &P, tuning: &Tuning) -> Calls {
    let asked_for = |row: &&Candidate<P>| tuning.algorithm == Some(row.name);
    let asked = table.iter().filter(asked_for);
    let others = table.iter().filter(|row| !asked_for(row));
    let mut applying = asked.chain(others).filter(|row| (row.applies)(pass));
    let chosen = applying.find_map(|row| (row.calls)(pass, tuning));
    // The plain kernels apply to every pass without fusion, and passes are fused only if a row
    // supports it.
    chosen.unwrap_or_else(|| unreachable!("no kernel for a pass"))
}

impl Forward {
    /// Its calls.
    pub(super) fn calls(&self, tuning: &Tuning) -> Calls {
        choose(FORWARD, self, tuning)
    }

    fn tiled(&self, tuning: &Tuning) -> Option<Calls> {
        let pool = self.pool.as_ref();
        let size = pool.map(|pool| (pool.size, pool.argmax.is_some()));
        let epilogue = Epilogue::Activate {
            bias: self.bias.map(Operand::Buffer),
        };
        let extra = ExtraBindings {
            argmax: pool.and_then(|pool| pool.argmax).map(Operand::Buffer),
            unpool: None,
        };
        let out = pool.map_or(self.y, |pool| pool.y);
        let buffers = [self.x, self.w, out].map(Operand::Buffer);
        let correlation = forward(self.batch, &self.shape, size);
        let call = correlation.call(self.entry, tuning, epilogue, (buffers, extra))?;
        Some(call.activation(self.activation).into())
    }

    fn plain(&self, tuning: &Tuning) -> Option<Calls> {
        let (shape, window) = (self.shape, self.shape.window);
        let call = plain_call("conv2d_forward", tuning, self.batch, shape)
            .loads(window.taps() * shape.ic / shape.groups)
            .sizes(&WHOLE)
            .activation(self.activation)
            .sizes(&[
                ("HAS_BIAS", usize::from(self.bias.is_some())),
                ("HAS_THROUGH", 0),
            ])
            .invocations(self.batch * window.oh * window.ow * shape.oc)
            .read(Operand::Buffer(self.x))
            .read(Operand::Buffer(self.w))
            .read(Operand::Buffer(self.bias.unwrap_or(self.w)))
            .write(Operand::Buffer(self.y));
        Some(call.into())
    }
}

impl BackwardInput {
    /// Its calls.
    pub(super) fn calls(&self, tuning: &Tuning) -> Calls {
        choose(BACKWARD_INPUT, self, tuning)
    }

    fn tiled(&self, tuning: &Tuning) -> Option<Calls> {
        let window = self.shape.window;
        let nonzero = (self.pool).map_or((window.oh, window.ow), |pool| pool.nonzero);
        let absorbed = self.absorbed();
        let unpool = absorbed.map(|pool| Unpool {
            size: pool.size,
            windows: pool.windows(),
        });
        let epilogue = match self.through {
            Some(Through { y, activation }) => Epilogue::Derive(Operand::Buffer(y), activation),
            None => Epilogue::Keep,
        };
        let extra = ExtraBindings {
            argmax: None,
            unpool: absorbed.and_then(|pool| Some([pool.argmax?, pool.y].map(Operand::Buffer))),
        };
        let pooled = absorbed.and_then(|pool| pool.gradients);
        let from = pooled.map_or(self.dy, |(pooled, _)| pooled);
        let buffers = [from, self.w, self.dx].map(Operand::Buffer);
        let correlation = backward_input(self.batch, &self.shape, nonzero, unpool)?;
        let call = correlation.call(self.entry, tuning, epilogue, (buffers, extra))?;
        let activation = absorbed.and_then(|pool| pool.through).unwrap_or_default();
        Some(call.activation(activation).into())
    }

    fn plain(&self, tuning: &Tuning) -> Option<Calls> {
        let (shape, window) = (self.shape, self.shape.window);
        let call = plain_call("conv2d_backward_input", tuning, self.batch, shape)
            .loads(window.taps() * shape.oc / shape.groups)
            .sizes(&WHOLE)
            .through(self.through)
            .sizes(&[("HAS_BIAS", 0)])
            .invocations(self.batch * window.ih * window.iw * shape.ic)
            .read(Operand::Buffer(self.dy))
            .read(Operand::Buffer(self.w))
            .read(through_operand(self.through, self.dy))
            .write(Operand::Buffer(self.dx));
        Some(call.into())
    }
}

impl BackwardWeight {
    /// Its calls.
    pub(super) fn calls(&self, tuning: &Tuning) -> Calls {
        choose(BACKWARD_WEIGHT, self, tuning)
    }

    fn tiled(&self, tuning: &Tuning) -> Option<Calls> {
        let shape = self.shape;
        let absorbed = self.absorbed();
        let bias = self.dbias.is_some();
        let gradient = backward_weight(self.batch, &shape, bias, self.pool.as_ref());
        let tile = gradient.tile(tuning)?;
        let partials = self.partials(tile.splits);
        let dy = absorbed.and_then(|pool| pool.gradients);
        let dy = dy.map_or(self.dy, |(pooled, _)| pooled);
        let pooled = absorbed.map(|pool| [pool.argmax.unwrap_or(dy), pool.y].map(Operand::Buffer));
        let [x, dy] = [self.x, dy].map(Operand::Buffer);
        let buffers = [x, dy, Operand::Partials(self.first_partial)];
        let places = (partials.stride, partials.bias_at);
        let call = gradient.call(&tile, tuning, places, buffers, pooled);
        let activation = absorbed.and_then(|pool| pool.through).unwrap_or_default();
        Some(Calls {
            calls: vec![call.activation(activation)],
            partials: Some(partials),
        })
    }

    fn plain(&self, tuning: &Tuning) -> Option<Calls> {
        let (shape, window) = (self.shape, self.shape.window);
        let split = Split::new(self.batch * window.oh, tuning.max_loads / window.ow);
        let partials = (!split.is_whole()).then(|| self.partials(split.parts));
        let call = |entry, len, out| {
            plain_call(entry, tuning, self.batch, shape)
                .sizes(&[("HAS_BIAS", 0), ("HAS_THROUGH", 0)])
                .sizes(&[
                    ("PARTS", split.parts),
                    ("PART_ROWS", split.each),
                    ("STRIDE", partials.as_ref().map_or(0, |p| p.stride)),
                ])
                .invocations(split.parts * len)
                .loads(split.each * window.ow)
                .read(Operand::Buffer(self.x))
                .read(Operand::Buffer(self.dy))
                .read(Operand::Buffer(self.dy))
                .write(out)
        };
        let out = |gradient, at| match partials {
            Some(_) => Operand::Partials(self.first_partial + at),
            None => Operand::Buffer(gradient),
        };
        let bias_at = partials.as_ref().map_or(0, |p| p.bias_at);
        let kernel = call(
            "conv2d_backward_weight",
            shape.kernel_len(),
            out(self.dw, 0),
        );
        let bias =
            (self.dbias).map(|dbias| call("conv2d_backward_bias", shape.oc, out(dbias, bias_at)));
        Some(Calls {
            calls: [kernel].into_iter().chain(bias).collect(),
            partials,
        })
    }

    /// The layout of `splits` partial gradients.
    fn partials(&self, splits: usize) -> Partials {
        let bias_at = self.shape.kernel_len().next_multiple_of(BLOCK);
        let biases = (self.dbias).map_or(0, |_| self.shape.oc.next_multiple_of(BLOCK));
        Partials {
            bias_at,
            stride: bias_at + biases,
            splits,
        }
    }
}

/// Constants for kernels of `shaders/conv2d.wgsl` without split sums.
const WHOLE: [(&str, usize); 3] = [("PARTS", 1), ("PART_ROWS", 0), ("STRIDE", 0)];

/// A kernel of `shaders/conv2d.wgsl`.
fn plain_call(
    entry: &'static str,
    tuning: &Tuning,
    batch: usize,
    shape: ConvShape,
) -> Call<Operand> {
    let text = include_str!("../../../../shaders/conv2d.wgsl");
    Call::new(entry, text, tuning.untiled)
        .sizes(&window_sizes(&shape.window))
        .sizes(&[("BATCH", batch), ("IC", shape.ic), ("OC", shape.oc)])
        .sizes(&[("GROUPS", shape.groups)])
}
