//! From operations to kernel calls: the table that names, for each operation, what runs.

use super::kernel::Call;
use super::lower_layers;
use super::texels::Texel;
use super::tile::{Beside, Correlation, Pool, Unpool, WeightGradient, cell_width};
use super::tuning::Tuning;
use crate::model::{Activation, PoolKind};
use crate::optimizer::Optimizer;
use crate::plan::{BufferId, ConvShape, Op, Plan, PoolShape, Through};
use crate::shape::Window;

/// A buffer of a call, before there is a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// A buffer of the plan; parameters and gradients lie in their arenas.
    Buffer(BufferId),
    /// The whole arena of parameters.
    Params,
    /// The whole arena of gradients.
    Gradients,
    /// First moments.
    Moment1,
    /// Second moments.
    Moment2,
    /// Partial gradients, from this float on.
    Partials(usize),
    /// The list of blocks that `reduce` sums.
    Blocks,
    /// All blocks of the arena, for the optimizer.
    Arena,
    /// Loss and correct count of each step under way.
    Metrics,
    /// Stands where a kernel may write a buffer and here does not.
    Nothing,
    /// The data set's images.
    Images,
    /// The data set's labels.
    DataLabels,
    /// The data set's order.
    Order,
}

/// A block of 64 floats of a gradient. The twin of `Block` in `shaders/partials.wgsl`; places are in
/// vec4s.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Block {
    /// Where the sum belongs.
    pub to: u32,
    /// Where the first partial lies.
    pub first: u32,
    /// From one partial to the next.
    pub stride: u32,
    /// How many there are; none if the gradient is there as a whole.
    pub splits: u32,
}

/// Whether operations run one by one, or as a step in which neighbours are fused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each operation writes what the plan says. For tests, fixtures and comparison.
    #[default]
    Alone,
    /// A convolution and the max pool behind it are one call; what lies between is not written.
    Step,
}

/// All calls of a plan, operation by operation, and what they need beside the plan's buffers.
#[derive(Debug, Default)]
pub struct Lowered {
    /// For each operation its calls.
    pub ops: Vec<Vec<Call<Slot>>>,
    /// For each operation the blocks that are still to be summed, as a range of `blocks`.
    pub pending: Vec<std::ops::Range<usize>>,
    /// The blocks that are sums of partials.
    pub blocks: Vec<Block>,
    /// How many of those a call before the optimizer's has summed.
    summed: usize,
    mode: Mode,
    /// Floats of partial gradients.
    pub partials: usize,
    /// The pools that are fused with the convolution before them.
    fused: Vec<FusedPool>,
    /// The dense layer whose input's gradient the loss's call makes.
    dense_behind: Option<DenseBehind>,
}

/// A small dense layer that made the logits.
#[derive(Clone, Copy, Debug)]
struct DenseBehind {
    inputs: usize,
    w: BufferId,
    dx: BufferId,
    through: Option<Through>,
}

/// Most products per row of a dense layer whose backward pass runs with the loss, in one workgroup.
const MOST_BEHIND: usize = 2048;

/// A max pool that runs in the call of the convolution before it.
#[derive(Clone, Copy, Debug)]
struct FusedPool {
    /// What the convolution would have written.
    between: BufferId,
    y: BufferId,
    argmax: Option<BufferId>,
    size: (usize, usize),
    /// Rows and columns that windows hold; beyond, the gradient of `between` is zero.
    live: (usize, usize),
    /// In training, the gradients of `y` and of `between`.
    gradients: Option<(BufferId, BufferId)>,
    /// Whether the pool's backward pass runs in the calls of the convolution's.
    absorbed: bool,
    through: Option<Activation>,
}

/// Floats to a block.
const BLOCK: usize = 64;

impl Lowered {
    /// The calls of `plan` for an adapter with this tuning.
    pub fn new(plan: &Plan, tuning: &Tuning, mode: Mode) -> Self {
        let mut lowered = Self {
            mode,
            ..Self::default()
        };
        if mode == Mode::Step && !tuning.naive {
            lowered.fused = fused_pools(plan, tuning);
            lowered.dense_behind = dense_behind(plan);
        }
        for op in &plan.ops {
            let before = lowered.blocks.len();
            let calls = lowered.lower(plan, tuning, op);
            lowered.ops.push(calls);
            lowered.pending.push(before..lowered.blocks.len());
        }
        lowered
    }

    /// The call that sums what partials there are, for operations of a step that need whole gradients
    /// before the optimizer does.
    fn sum_now(&mut self, tuning: &Tuning) -> Option<Call<Slot>> {
        let rest = self.summed..self.blocks.len();
        if self.mode == Mode::Alone || rest.is_empty() {
            return None;
        }
        self.summed = rest.end;
        Some(Self::reduce(tuning, rest))
    }

    /// All blocks of the arena in their order, for the optimizer of a step: it sums the partials on
    /// the way.
    pub fn arena(&self, plan: &Plan) -> Vec<Block> {
        let mut arena = vec![Block::default(); plan.layout.len.div_ceil(BLOCK)];
        for block in &self.blocks[self.summed..] {
            arena[block.to as usize * 4 / BLOCK] = *block;
        }
        arena
    }

    /// Takes out the gather, whose buffers are known only when a data set is.
    pub fn take_gather(&mut self, plan: &Plan) -> Option<Call<Slot>> {
        let is_gather = |op: &Op| matches!(op, Op::Gather { .. });
        let place = plan.ops.iter().position(is_gather)?;
        self.ops[place].pop()
    }

    /// The call that sums some blocks.
    pub fn reduce(tuning: &Tuning, range: std::ops::Range<usize>) -> Call<Slot> {
        let text = concat!(
            include_str!("../../../shaders/partials.wgsl"),
            include_str!("../../../shaders/reduce.wgsl")
        );
        Call::new("reduce", text)
            .cells(4)
            .sizes(&[("BLOCKS", range.len()), ("FIRST", range.start)])
            .invocations(range.len() * BLOCK / 4)
            .write(Slot::Gradients)
            .load("blocks", Slot::Blocks, Texel::words(4), tuning.texels)
            .load(
                "partials",
                Slot::Partials(0),
                Texel::floats(4),
                tuning.texels,
            )
    }

    fn lower(&mut self, plan: &Plan, tuning: &Tuning, op: &Op) -> Vec<Call<Slot>> {
        let b = plan.batch;
        match op {
            Op::Gather { x, labels } => vec![gather(plan, *x, *labels)],
            Op::Conv2dForward {
                shape,
                x,
                w,
                bias,
                y,
                activation,
            } => vec![conv2d_forward(
                "conv2d_forward",
                tuning,
                (b, *shape),
                (*bias, *activation),
                ([*x, *w, *y], self.fused.iter().find(|f| f.between == *y)),
            )],
            Op::Conv2dBackwardInput {
                shape,
                dy,
                w,
                dx,
                through,
            } => vec![conv2d_backward_input(
                "conv2d_backward_input",
                tuning,
                (b, *shape),
                *through,
                ([*dy, *w, *dx], self.pool_behind(*dy)),
            )],
            Op::Conv2dBackwardWeight {
                shape,
                x,
                dy,
                dw,
                dbias,
            } => self.conv2d_backward_weight(plan, tuning, (b, *shape), [*x, *dy, *dw], *dbias),
            Op::Pool2dForward {
                shape,
                x,
                y,
                argmax,
            } => match self.fused.iter().any(|f| f.y == *y) {
                true => vec![],
                false => vec![pool2d_forward(tuning, (b, shape), [*x, *y], *argmax)],
            },
            Op::Pool2dBackward {
                shape,
                dy,
                argmax,
                dx,
                through,
            } => {
                // The largest cell is the pool's own output, so that is what the activation made.
                let mut pools = self.fused.iter();
                let fused = pools.find(|f| f.argmax.is_some() && f.argmax == *argmax);
                if fused.is_some_and(|f| f.absorbed) {
                    return vec![];
                }
                let through = through.map(|t| match fused {
                    Some(fused) => (Through { y: fused.y, ..t }, 1),
                    None => (t, 0),
                });
                vec![pool2d_backward(
                    tuning,
                    (b, shape),
                    [*dy, *dx],
                    *argmax,
                    through,
                )]
            }
            Op::DenseForward {
                inputs,
                outputs,
                x,
                w,
                bias,
                y,
                activation,
            } => vec![conv2d_forward(
                "dense_forward",
                tuning,
                dense(b, *inputs, *outputs),
                (*bias, *activation),
                ([*x, *w, *y], None),
            )],
            Op::DenseBackwardInput {
                inputs,
                outputs,
                dy,
                w,
                dx,
                through,
            } if self.dense_behind.as_ref().is_none_or(|d| d.dx != *dx) => {
                vec![conv2d_backward_input(
                    "dense_backward_input",
                    tuning,
                    dense(b, *inputs, *outputs),
                    *through,
                    ([*dy, *w, *dx], None),
                )]
            }
            // The loss's call has made it.
            Op::DenseBackwardInput { .. } => vec![],
            Op::DenseBackwardWeight {
                inputs,
                outputs,
                x,
                dy,
                dw,
                dbias,
            } => self.conv2d_backward_weight(
                plan,
                tuning,
                dense(b, *inputs, *outputs),
                [*x, *dy, *dw],
                *dbias,
            ),
            Op::ActivationForward { activation, x, y } => {
                vec![activation_call(
                    plan,
                    "activation_forward",
                    *activation,
                    [*x, *x, *y],
                )]
            }
            Op::ActivationBackward { through, dy, dx } => vec![activation_call(
                plan,
                "activation_backward",
                through.activation,
                [through.y, *dy, *dx],
            )],
            Op::SoftmaxForward { width, x, y } => {
                vec![softmax(plan, "softmax_forward", *width, [*x, *x, *y], None)]
            }
            Op::SoftmaxBackward {
                width,
                dy,
                y,
                dx,
                through,
            } => vec![softmax(
                plan,
                "softmax_backward",
                *width,
                [*dy, *y, *dx],
                *through,
            )],
            Op::SoftmaxCrossEntropy {
                classes,
                logits,
                labels,
                probabilities,
                dlogits,
                class_weights,
            } => vec![
                softmax_cross_entropy(
                    tuning,
                    (b, *classes),
                    [*logits, *labels, *probabilities],
                    (*dlogits, self.dense_behind.as_ref()),
                )
                .table("class_weight", class_weights.as_deref().unwrap_or_default()),
            ],
            Op::Dropout { .. }
            | Op::Rescale { .. }
            | Op::BatchNormStatistics { .. }
            | Op::BatchNormForward { .. }
            | Op::BatchNormBackwardWeight { .. }
            | Op::BatchNormBackwardInput { .. } => lower_layers::calls(plan, tuning, op),
            Op::Regularize { penalties } => {
                let sum = self.sum_now(tuning);
                let calls = penalties
                    .iter()
                    .map(|p| lower_layers::regularize(plan, tuning, p));
                sum.into_iter().chain(calls).collect()
            }
            Op::Update { optimizer, .. } => vec![update(plan, tuning, optimizer)],
        }
    }

    fn conv2d_backward_weight(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        (batch, shape): (usize, ConvShape),
        [x, dy, dw]: [BufferId; 3],
        dbias: Option<BufferId>,
    ) -> Vec<Call<Slot>> {
        let pool = self.pool_behind(dy).copied();
        let mut gradient = WeightGradient {
            batch,
            window: shape.window,
            ic: shape.ic,
            oc: shape.oc,
            bias: dbias.is_some(),
            dy: (shape.window.oh, shape.window.ow),
            pool: None,
        };
        if let Some(FusedPool { live, .. }) = pool {
            (gradient.window.oh, gradient.window.ow) = live;
        }
        let absorbed = pool.filter(|f| f.absorbed);
        if let Some(FusedPool { live, size, .. }) = absorbed {
            gradient.dy = (live.0 / size.0, live.1 / size.1);
            gradient.pool = Some(size);
        }
        let is_tiled = !tuning.naive && shape.is_plain();
        let tile = is_tiled.then(|| gradient.tile(tuning)).flatten();
        let Some(tile) = tile else {
            return naive_backward_weight((batch, shape), [x, dy, dw], dbias);
        };
        let weights = plan.buffer(dw).len().next_multiple_of(BLOCK);
        let biases = match dbias {
            Some(_) => shape.oc.next_multiple_of(BLOCK),
            None => 0,
        };
        let stride = weights + biases;
        let first = self.partials;
        self.partials += stride * tile.splits;
        self.sum_later(plan, dw, (first, stride), tile.splits);
        if let Some(dbias) = dbias {
            self.sum_later(plan, dbias, (first + weights, stride), tile.splits);
        }
        let (dy, pooled) = match absorbed {
            Some(f) => (
                f.gradients.map_or(dy, |(dy, _)| dy),
                Some([f.argmax.unwrap_or(dy), f.y].map(Slot::Buffer)),
            ),
            None => (dy, None),
        };
        let [x, dy] = [x, dy].map(Slot::Buffer);
        let activation = absorbed.and_then(|f| f.through).unwrap_or_default();
        let buffers = [x, dy, Slot::Partials(first)];
        let call = gradient.call(&tile, tuning, (stride, weights), buffers, pooled);
        vec![call.sizes(&[("ACTIVATION", activation_number(activation))])]
    }

    /// The fused pool whose backward pass makes `dy`.
    fn pool_behind(&self, dy: BufferId) -> Option<&FusedPool> {
        let behind = |f: &&FusedPool| f.gradients.is_some_and(|(_, gradient)| gradient == dy);
        self.fused.iter().find(behind)
    }

    /// Notes that a gradient is the sum of partials.
    fn sum_later(
        &mut self,
        plan: &Plan,
        gradient: BufferId,
        (first, stride): (usize, usize),
        splits: usize,
    ) {
        let crate::plan::Role::Gradient(i) = plan.buffer(gradient).role else {
            return;
        };
        let parameter = &plan.layout.parameters[i];
        for block in 0..parameter.len().div_ceil(BLOCK) {
            self.blocks.push(Block {
                to: ((parameter.offset + block * BLOCK) / 4) as u32,
                first: ((first + block * BLOCK) / 4) as u32,
                stride: (stride / 4) as u32,
                splits: splits as u32,
            });
        }
    }
}

/// A dense layer is a 1x1 convolution over a column of `batch` pixels.
fn dense(batch: usize, inputs: usize, outputs: usize) -> (usize, ConvShape) {
    let window = Window {
        ih: batch,
        iw: 1,
        kh: 1,
        kw: 1,
        sh: 1,
        sw: 1,
        dh: 1,
        dw: 1,
        pad_top: 0,
        pad_left: 0,
        oh: batch,
        ow: 1,
    };
    let shape = ConvShape {
        window,
        ic: inputs,
        oc: outputs,
        groups: 1,
    };
    (1, shape)
}

fn activation_number(activation: Activation) -> usize {
    match activation {
        // Softmax is never applied cell by cell.
        Activation::Linear | Activation::Softmax => 0,
        Activation::Relu => 1,
        Activation::Sigmoid => 2,
        Activation::Tanh => 3,
        Activation::LeakyRelu => 4,
        Activation::Elu => 5,
        Activation::Selu => 6,
        Activation::Gelu => 7,
        Activation::Silu => 8,
        Activation::Softplus => 9,
    }
}

/// Constants and buffer of a `through`, with a stand-in where there is none.
pub(super) fn through_parts(
    through: Option<Through>,
    stand_in: BufferId,
) -> ([(&'static str, usize); 2], Slot) {
    match through {
        Some(Through { y, activation }) => (
            [
                ("ACTIVATION", activation_number(activation)),
                ("HAS_THROUGH", 1),
            ],
            Slot::Buffer(y),
        ),
        None => (
            [("ACTIVATION", 0), ("HAS_THROUGH", 0)],
            Slot::Buffer(stand_in),
        ),
    }
}

fn window_sizes(w: &Window) -> [(&'static str, usize); 12] {
    [
        ("IH", w.ih),
        ("IW", w.iw),
        ("KH", w.kh),
        ("KW", w.kw),
        ("SH", w.sh),
        ("SW", w.sw),
        ("DH", w.dh),
        ("DW", w.dw),
        ("PAD_TOP", w.pad_top),
        ("PAD_LEFT", w.pad_left),
        ("OH", w.oh),
        ("OW", w.ow),
    ]
}

fn gather(plan: &Plan, x: BufferId, labels: BufferId) -> Call<Slot> {
    let size: usize = plan.input_shape.iter().product();
    let width = cell_width(size);
    Call::new("gather", include_str!("../../../shaders/gather.wgsl"))
        .cells(width)
        .sizes(&[("BATCH", plan.batch), ("SIZE", size), ("WIDTH", width)])
        .invocations(plan.batch * size / width)
        .read(Slot::Images)
        .read(Slot::DataLabels)
        .read(Slot::Order)
        .write(Slot::Buffer(x))
        .write(Slot::Buffer(labels))
}

const CONV2D: &str = include_str!("../../../shaders/conv2d.wgsl");

fn naive_conv2d(entry: &'static str, (batch, shape): (usize, ConvShape)) -> Call<Slot> {
    Call::new(entry, CONV2D)
        .sizes(&window_sizes(&shape.window))
        .sizes(&[("BATCH", batch), ("IC", shape.ic), ("OC", shape.oc)])
        .sizes(&[("GROUPS", shape.groups)])
}

fn conv2d_forward(
    entry: &'static str,
    tuning: &Tuning,
    (batch, shape): (usize, ConvShape),
    (bias, activation): (Option<BufferId>, Activation),
    ([x, w, y], fused): ([BufferId; 3], Option<&FusedPool>),
) -> Call<Slot> {
    let sizes = [
        ("HAS_BIAS", usize::from(bias.is_some())),
        ("HAS_THROUGH", 0),
        ("ACTIVATION", activation_number(activation)),
    ];
    let epilogue = match bias {
        Some(_) => "v = activate(ACTIVATION, v + load_extra(cell));",
        None => "v = activate(ACTIVATION, v);",
    };
    let out = Slot::Buffer(fused.map_or(y, |pool| pool.y));
    let argmax = fused.and_then(|pool| pool.argmax).map(Slot::Buffer);
    let [x, w] = [x, w].map(Slot::Buffer);
    let bias = bias.map(Slot::Buffer);
    let size = fused.map(|pool| (pool.size, pool.argmax.is_some()));
    let beside = Beside {
        extra: bias,
        argmax,
        unpool: None,
    };
    let buffers = ([x, w, out], beside);
    let tiled = match tuning.naive || !shape.is_plain() {
        true => None,
        false => forward(batch, &shape, size).call(entry, tuning, epilogue, buffers),
    };
    if let Some(tiled) = tiled {
        return tiled.sizes(&sizes);
    }
    let window = shape.window;
    naive_conv2d("conv2d_forward", (batch, shape))
        .sizes(&sizes)
        .invocations(batch * window.oh * window.ow * shape.oc)
        .read(x)
        .read(w)
        .read(bias.unwrap_or(w))
        .write(Slot::Buffer(y))
}

/// The correlation of a forward pass, with the size of the max pool behind and whether that notes
/// the cells it takes.
fn forward(batch: usize, shape: &ConvShape, pool: Option<((usize, usize), bool)>) -> Correlation {
    let mut window = shape.window;
    if let Some(((kh, kw), _)) = pool {
        // What no window of the pool holds is not computed.
        window.oh = window.oh / kh * kh;
        window.ow = window.ow / kw * kw;
    }
    Correlation {
        batch,
        window,
        rc: shape.ic,
        kc: shape.oc,
        flipped: false,
        live: (window.ih, window.iw),
        pool: pool.map(|(size, argmax)| Pool { size, argmax }),
        unpool: None,
    }
}

/// Convolutions whose result goes into a max pool of disjoint, unpadded windows, and is else read
/// by nobody but that pool's own backward pass.
fn fused_pools(plan: &Plan, tuning: &Tuning) -> Vec<FusedPool> {
    let pairs = plan.ops.iter().zip(plan.ops.iter().skip(1));
    let fused = pairs.filter_map(|pair| match pair {
        (
            Op::Conv2dForward {
                y: between,
                shape: conv,
                ..
            },
            Op::Pool2dForward {
                shape,
                x,
                y,
                argmax,
            },
        ) if between == x && shape.kind == PoolKind::Max && tiles(&shape.window) => {
            let size = (shape.window.kh, shape.window.kw);
            if !conv.is_plain()
                || !forward(plan.batch, conv, Some((size, true))).is_possible(tuning)
            {
                return None;
            }
            let others = plan.ops.iter().filter(|op| op.reads().contains(between));
            let only_this_pool = others.clone().all(|op| match op {
                Op::Pool2dForward { y: other, .. } => other == y,
                Op::Pool2dBackward { argmax: other, .. } => other == argmax,
                _ => false,
            });
            only_this_pool.then(|| fused_pool(plan, tuning, shape, [*between, *y], *argmax))
        }
        _ => None,
    });
    fused.collect()
}

fn fused_pool(
    plan: &Plan,
    tuning: &Tuning,
    shape: &PoolShape,
    [between, y]: [BufferId; 2],
    argmax: Option<BufferId>,
) -> FusedPool {
    let w = &shape.window;
    let backward = plan.ops.iter().find_map(|op| match op {
        Op::Pool2dBackward {
            argmax: other,
            dy,
            dx,
            through,
            ..
        } if argmax.is_some() && *other == argmax => Some((*dy, *dx, *through)),
        _ => None,
    });
    let live = (w.oh * w.kh, w.ow * w.kw);
    let unpool = Unpool {
        size: (w.kh, w.kw),
        windows: (w.oh, w.ow),
    };
    let absorbed = backward.is_some_and(|(_, dx, _)| {
        let mut readers = plan.ops.iter().filter(|op| op.reads().contains(&dx));
        // Only tiled kernels can take the pool's backward pass in.
        let takes_it_in = |op: &Op| match op {
            Op::Conv2dBackwardWeight { shape, .. } => {
                shape.is_plain() && shape.window.taps() <= tuning.weight_accumulators
            }
            Op::Conv2dBackwardInput { shape, .. } => {
                cell_width(shape.ic) == cell_width(shape.oc)
                    && backward_input(plan.batch, shape, live, Some(unpool))
                        .is_some_and(|c| c.is_possible(tuning))
            }
            _ => false,
        };
        readers.all(takes_it_in) && w.taps() <= 16
    });
    FusedPool {
        between,
        y,
        argmax,
        size: (w.kh, w.kw),
        live,
        gradients: backward.map(|(dy, dx, _)| (dy, dx)),
        absorbed,
        through: backward.and_then(|(_, _, through)| through.map(|t| t.activation)),
    }
}

/// Whether windows lie side by side without gaps, overlap or padding.
fn tiles(w: &Window) -> bool {
    (w.kh, w.kw) == (w.sh, w.sw) && (w.pad_top, w.pad_left) == (0, 0) && fits(w)
}

/// The correlation that the gradient of a convolution's input is; none at larger strides, where most
/// taps meet nothing, where padding is wider than the kernel, and with groups or gaps.
fn backward_input(
    batch: usize,
    shape: &ConvShape,
    live: (usize, usize),
    unpool: Option<Unpool>,
) -> Option<Correlation> {
    let window = shape.window;
    if (window.sh, window.sw) != (1, 1) || !shape.is_plain() {
        return None;
    }
    Some(Correlation {
        batch,
        window: Window {
            ih: window.oh,
            iw: window.ow,
            oh: window.ih,
            ow: window.iw,
            pad_top: (window.kh - 1).checked_sub(window.pad_top)?,
            pad_left: (window.kw - 1).checked_sub(window.pad_left)?,
            ..window
        },
        rc: shape.oc,
        kc: shape.ic,
        flipped: true,
        live,
        pool: None,
        unpool,
    })
}

fn conv2d_backward_input(
    entry: &'static str,
    tuning: &Tuning,
    (batch, shape): (usize, ConvShape),
    through: Option<Through>,
    ([dy, w, dx], behind): ([BufferId; 3], Option<&FusedPool>),
) -> Call<Slot> {
    let window = shape.window;
    let (sizes, extra) = through_parts(through, dy);
    let live = behind.map_or((window.oh, window.ow), |f| f.live);
    let absorbed = behind.filter(|f| f.absorbed);
    let unpool = absorbed.map(|f| Unpool {
        size: f.size,
        windows: (f.live.0 / f.size.0, f.live.1 / f.size.1),
    });
    let epilogue = match through {
        Some(_) => "v *= derivative(THROUGH, load_extra(at));",
        None => "",
    };
    let beside = Beside {
        extra: through.map(|_| extra),
        argmax: None,
        unpool: absorbed.and_then(|f| Some([f.argmax?, f.y].map(Slot::Buffer))),
    };
    let pooled = absorbed.and_then(|f| f.gradients).map(|(pooled, _)| pooled);
    let activation = absorbed.and_then(|f| f.through).unwrap_or_default();
    let [from, w, dx] = [pooled.unwrap_or(dy), w, dx].map(Slot::Buffer);
    let tiled = backward_input(batch, &shape, live, unpool).filter(|_| !tuning.naive);
    let tiled = tiled.and_then(|c| c.call(entry, tuning, epilogue, ([from, w, dx], beside)));
    if let Some(tiled) = tiled {
        let through = through.map_or(Activation::Linear, |t| t.activation);
        return tiled.sizes(&[
            ("THROUGH", activation_number(through)),
            ("ACTIVATION", activation_number(activation)),
        ]);
    }
    naive_conv2d("conv2d_backward_input", (batch, shape))
        .sizes(&sizes)
        .sizes(&[("HAS_BIAS", 0)])
        .invocations(batch * window.ih * window.iw * shape.ic)
        .read(Slot::Buffer(dy))
        .read(w)
        .read(extra)
        .write(dx)
}

fn naive_backward_weight(
    (batch, shape): (usize, ConvShape),
    [x, dy, dw]: [BufferId; 3],
    dbias: Option<BufferId>,
) -> Vec<Call<Slot>> {
    let sizes = [("HAS_BIAS", 0), ("HAS_THROUGH", 0), ("ACTIVATION", 0)];
    let call = |entry, invocations, out| {
        naive_conv2d(entry, (batch, shape))
            .sizes(&sizes)
            .invocations(invocations)
            .read(Slot::Buffer(x))
            .read(Slot::Buffer(dy))
            .read(Slot::Buffer(dy))
            .write(Slot::Buffer(out))
    };
    let weights = shape.kernel_len();
    let bias = dbias.map(|dbias| call("conv2d_backward_bias", shape.oc, dbias));
    [call("conv2d_backward_weight", weights, dw)]
        .into_iter()
        .chain(bias)
        .collect()
}

fn pool_call(entry: &'static str, text: &str, batch: usize, shape: &PoolShape) -> Call<Slot> {
    let width = cell_width(shape.c);
    let kind = match shape.kind {
        PoolKind::Max => 0,
        PoolKind::Average => 1,
        PoolKind::Sum => 2,
    };
    let common = include_str!("../../../shaders/pool2d.wgsl");
    Call::new(entry, format!("{common}\n{text}"))
        .cells(width)
        .sizes(&window_sizes(&shape.window))
        .sizes(&[("BATCH", batch), ("C", shape.c / width), ("KIND", kind)])
}

fn pool2d_forward(
    tuning: &Tuning,
    (batch, shape): (usize, &PoolShape),
    [x, y]: [BufferId; 2],
    argmax: Option<BufferId>,
) -> Call<Slot> {
    let text = include_str!("../../../shaders/pool2d_forward.wgsl");
    let w = &shape.window;
    pool_call("pool2d_forward", text, batch, shape)
        .sizes(&[("HAS_ARGMAX", usize::from(argmax.is_some()))])
        .invocations(batch * w.oh * w.ow * shape.c / cell_width(shape.c))
        .write(Slot::Buffer(y))
        .write(argmax.map_or(Slot::Nothing, Slot::Buffer))
        .load(
            "x",
            Slot::Buffer(x),
            Texel::floats(cell_width(shape.c)),
            tuning.texels,
        )
}

/// Whether every window lies wholly inside the input.
fn fits(w: &Window) -> bool {
    (w.oh - 1) * w.sh + w.kh <= w.ih && (w.ow - 1) * w.sw + w.kw <= w.iw
}

fn pool2d_backward(
    tuning: &Tuning,
    (batch, shape): (usize, &PoolShape),
    [dy, dx]: [BufferId; 2],
    argmax: Option<BufferId>,
    through: Option<(Through, usize)>,
) -> Call<Slot> {
    let text = include_str!("../../../shaders/pool2d_backward.wgsl");
    let w = &shape.window;
    let (sizes, extra) = through_parts(through.map(|(t, _)| t), dy);
    let cell = Texel::floats(cell_width(shape.c));
    let taken = Slot::Buffer(argmax.unwrap_or(dy));
    let disjoint = w.kh <= w.sh && w.kw <= w.sw && (w.pad_top, w.pad_left) == (0, 0) && fits(w);
    let (bh, bw) = (w.ih.div_ceil(w.sh), w.iw.div_ceil(w.sw));
    let (entry, pixels) = match disjoint {
        true => ("pool2d_backward_disjoint", bh * bw),
        false => ("pool2d_backward", w.ih * w.iw),
    };
    pool_call(entry, text, batch, shape)
        .sizes(&sizes)
        .sizes(&[("BH", bh), ("BW", bw)])
        .sizes(&[("THROUGH_POOLED", through.map_or(0, |(_, pooled)| pooled))])
        .invocations(batch * pixels * shape.c / cell_width(shape.c))
        .write(Slot::Buffer(dx))
        .load("dy", Slot::Buffer(dy), cell, tuning.texels)
        .load("argmax", taken, Texel::words(cell.width), tuning.texels)
        .load("through", extra, cell, tuning.texels)
}

fn activation_call(
    plan: &Plan,
    entry: &'static str,
    activation: Activation,
    [a, b, out]: [BufferId; 3],
) -> Call<Slot> {
    let len = plan.buffer(out).len();
    let width = cell_width(len);
    Call::new(entry, include_str!("../../../shaders/activation.wgsl"))
        .cells(width)
        .sizes(&[
            ("LEN", len / width),
            ("ACTIVATION", activation_number(activation)),
        ])
        .invocations(len / width)
        .read(Slot::Buffer(a))
        .read(Slot::Buffer(b))
        .write(Slot::Buffer(out))
}

fn softmax(
    plan: &Plan,
    entry: &'static str,
    width: usize,
    [a, b, out]: [BufferId; 3],
    through: Option<Through>,
) -> Call<Slot> {
    let rows = plan.buffer(out).len() / width;
    let (sizes, extra) = through_parts(through, a);
    Call::new(entry, include_str!("../../../shaders/softmax.wgsl"))
        .sizes(&[("ROWS", rows), ("WIDTH", width)])
        .sizes(&sizes)
        .invocations(rows)
        .read(Slot::Buffer(a))
        .read(Slot::Buffer(b))
        .read(extra)
        .write(Slot::Buffer(out))
}

/// The dense layer behind the loss, if it is small.
fn dense_behind(plan: &Plan) -> Option<DenseBehind> {
    let dlogits = plan.ops.iter().find_map(|op| match op {
        Op::SoftmaxCrossEntropy { dlogits, .. } => *dlogits,
        _ => None,
    })?;
    plan.ops.iter().find_map(|op| match *op {
        Op::DenseBackwardInput {
            inputs,
            outputs,
            dy,
            w,
            dx,
            through,
        } if dy == dlogits && inputs * outputs <= MOST_BEHIND => Some(DenseBehind {
            inputs,
            w,
            dx,
            through,
        }),
        _ => None,
    })
}

fn softmax_cross_entropy(
    tuning: &Tuning,
    (batch, classes): (usize, usize),
    [logits, labels, probabilities]: [BufferId; 3],
    (dlogits, behind): (Option<BufferId>, Option<&DenseBehind>),
) -> Call<Slot> {
    let text = include_str!("../../../shaders/softmax_cross_entropy.wgsl");
    let then = match behind {
        Some(_) => include_str!("../../../shaders/dense_behind.wgsl"),
        None => "fn behind(r: u32) {}\n",
    };
    let call = Call::new("softmax_cross_entropy", format!("{text}\n{then}"))
        .sizes(&[
            ("BATCH", batch),
            ("CLASSES", classes),
            ("HAS_DLOGITS", usize::from(dlogits.is_some())),
        ])
        .invocations(1)
        .read(Slot::Buffer(logits))
        .read(Slot::Buffer(labels))
        .write(Slot::Buffer(probabilities))
        .write(Slot::Metrics)
        .write(dlogits.map_or(Slot::Nothing, Slot::Buffer));
    let Some(&DenseBehind {
        inputs,
        w,
        dx,
        through,
    }) = behind
    else {
        return call;
    };
    let (sizes, extra) = through_parts(through, w);
    call.sizes(&[("INPUTS", inputs)])
        .sizes(&sizes)
        .write(Slot::Buffer(dx))
        .load("w", Slot::Buffer(w), Texel::floats(1), tuning.texels)
        .load("through", extra, Texel::floats(1), tuning.texels)
}

fn update(plan: &Plan, tuning: &Tuning, optimizer: &Optimizer) -> Call<Slot> {
    let all = |momentum: f64, rho: f64, beta_1: f64, beta_2: f64, epsilon: f64| {
        [
            ("MOMENTUM", momentum),
            ("RHO", rho),
            ("ONE_MINUS_RHO", 1.0 - rho),
            ("ONE_MINUS_BETA_1", 1.0 - beta_1),
            ("ONE_MINUS_BETA_2", 1.0 - beta_2),
            ("EPSILON", epsilon),
        ]
    };
    let (entry, numbers) = match *optimizer {
        Optimizer::Sgd { momentum, .. } => ("sgd_update", all(momentum, 0.0, 0.0, 0.0, 0.0)),
        Optimizer::RmsProp {
            rho,
            momentum,
            epsilon,
            ..
        } => ("rmsprop_update", all(momentum, rho, 0.0, 0.0, epsilon)),
        Optimizer::Adam {
            beta_1,
            beta_2,
            epsilon,
            ..
        } => ("adam_update", all(0.0, 0.0, beta_1, beta_2, epsilon)),
    };
    let nesterov = matches!(optimizer, Optimizer::Sgd { nesterov: true, .. });
    let numbers = numbers.map(|(name, value)| (name, value as f32));
    let cells = plan.layout.trainable / 4;
    let text = concat!(
        include_str!("../../../shaders/partials.wgsl"),
        include_str!("../../../shaders/update.wgsl")
    );
    Call::new(entry, text)
        .cells(4)
        .numbers(&numbers)
        .sizes(&[("LEN", cells), ("NESTEROV", usize::from(nesterov))])
        .invocations(cells)
        .load("blocks", Slot::Arena, Texel::words(4), tuning.texels)
        .load(
            "gradients",
            Slot::Gradients,
            Texel::floats(4),
            tuning.texels,
        )
        .load(
            "partials",
            Slot::Partials(0),
            Texel::floats(4),
            tuning.texels,
        )
        .update("params", Slot::Params, tuning.texels)
        .update("moment_1", Slot::Moment1, tuning.texels)
        .update("moment_2", Slot::Moment2, tuning.texels)
}
