//! Calls of the kernels that are written by hand, one function for each.

use super::super::call::{Call, Vector};
use super::super::tile::cell_width;
use super::super::tuning::Tuning;
use super::super::slot::Slot;
use super::conv2d::window_sizes;
use super::fuse::{DenseBehind, fits};
use super::layers::WORKGROUP_SUM;
use crate::model::{Activation, Loss, PoolKind};
use crate::optimizer::{Clip, Optimizer, Rule};
use crate::plan::{
    ActivationBackward, ActivationForward, BufferId, ClipGradients, Gather, LossOp, Plan,
    Pool2dBackward, Pool2dForward, PoolShape, SoftmaxBackward, SoftmaxForward, Through,
};

/// The gather out of so many parts of so many images each.
pub(super) fn gather(plan: &Plan, op: &Gather, (parts, images): (usize, usize)) -> Call<Slot> {
    let size: usize = plan.input_shape.iter().product();
    let width = cell_width(size);
    let rows: String = (0..parts)
        .map(|part| format!("if part == {part}u {{ return load_images_{part}(i); }} "))
        .collect();
    let text = format!(
        "{}\nfn image_word(part: u32, i: u32) -> u32 {{ {rows}return 0u; }}\n",
        include_str!("../../../../shaders/gather.wgsl")
    );
    let call = Call::new("gather", text)
        .cells(width)
        .sizes(&[("BATCH", plan.batch), ("SIZE", size), ("WIDTH", width)])
        .sizes(&[("PART", images.min(u32::MAX as usize))])
        .invocations(plan.batch * size / width)
        .read(Slot::DataLabels)
        .read(Slot::Order)
        .write(Slot::Buffer(op.x))
        .write(Slot::Buffer(op.labels));
    (0..parts).fold(call, |call, part| {
        let name = format!("images_{part}");
        call.load(&name, Slot::Images(part), Vector::words(1), false)
    })
}

fn pool_call(entry: &'static str, text: &str, batch: usize, shape: &PoolShape) -> Call<Slot> {
    let width = cell_width(shape.c);
    let kind = match shape.kind {
        PoolKind::Max => 0,
        PoolKind::Average => 1,
        PoolKind::Sum => 2,
    };
    let common = include_str!("../../../../shaders/pool2d.wgsl");
    Call::new(entry, format!("{common}\n{text}"))
        .cells(width)
        .sizes(&window_sizes(&shape.window))
        .sizes(&[("BATCH", batch), ("C", shape.c / width), ("KIND", kind)])
}

pub(super) fn pool2d_forward(plan: &Plan, tuning: &Tuning, op: &Pool2dForward) -> Call<Slot> {
    let text = include_str!("../../../../shaders/pool2d_forward.wgsl");
    let (shape, w) = (&op.shape, &op.shape.window);
    let width = cell_width(shape.c);
    let x = Slot::Buffer(op.x);
    pool_call("pool2d_forward", text, plan.batch, shape)
        .sizes(&[("HAS_ARGMAX", usize::from(op.argmax.is_some()))])
        .invocations(plan.batch * w.oh * w.ow * shape.c / width)
        .write(Slot::Buffer(op.y))
        .write(op.argmax.map_or(Slot::Nothing, Slot::Buffer))
        .load("x", x, Vector::floats(width), tuning.image_copies)
}

/// The backward pass of a pool; `through` is what it goes on through, with 1 if that buffer has the
/// pool's output in place of its input.
pub(super) fn pool2d_backward(
    plan: &Plan,
    tuning: &Tuning,
    op: &Pool2dBackward,
    through: Option<(Through, usize)>,
) -> Call<Slot> {
    let text = include_str!("../../../../shaders/pool2d_backward.wgsl");
    let (shape, w) = (&op.shape, &op.shape.window);
    let (through, pooled) = through.map_or((None, 0), |(t, pooled)| (Some(t), pooled));
    let cell = Vector::floats(cell_width(shape.c));
    let taken = Slot::Buffer(op.argmax.unwrap_or(op.dy));
    let disjoint = w.kh <= w.sh && w.kw <= w.sw && (w.pad_top, w.pad_left) == (0, 0) && fits(w);
    let (bh, bw) = (w.ih.div_ceil(w.sh), w.iw.div_ceil(w.sw));
    let (entry, pixels) = if disjoint {
        ("pool2d_backward_disjoint", bh * bw)
    } else {
        ("pool2d_backward", w.ih * w.iw)
    };
    pool_call(entry, text, plan.batch, shape)
        .through(through)
        .sizes(&[("BH", bh), ("BW", bw)])
        .sizes(&[("THROUGH_POOLED", pooled)])
        .invocations(plan.batch * pixels * shape.c / cell_width(shape.c))
        .write(Slot::Buffer(op.dx))
        .load("dy", Slot::Buffer(op.dy), cell, tuning.image_copies)
        .load("argmax", taken, Vector::words(cell.width), tuning.image_copies)
        .load("through", through_slot(through, op.dy), cell, tuning.image_copies)
}

pub(super) fn activation_forward(plan: &Plan, op: &ActivationForward) -> Call<Slot> {
    let buffers = [op.x, op.x, op.y];
    activation_call(plan, "activation_forward", op.activation, buffers)
}

pub(super) fn activation_backward(plan: &Plan, op: &ActivationBackward) -> Call<Slot> {
    let Through { y, activation } = op.through;
    activation_call(plan, "activation_backward", activation, [y, op.dy, op.dx])
}

fn activation_call(
    plan: &Plan,
    entry: &'static str,
    activation: Activation,
    [a, b, out]: [BufferId; 3],
) -> Call<Slot> {
    let len = plan.buffer(out).len();
    let width = cell_width(len);
    Call::new(entry, include_str!("../../../../shaders/activation.wgsl"))
        .cells(width)
        .sizes(&[("LEN", len / width)])
        .activation(activation)
        .invocations(len / width)
        .read(Slot::Buffer(a))
        .read(Slot::Buffer(b))
        .write(Slot::Buffer(out))
}

pub(super) fn softmax_forward(plan: &Plan, op: &SoftmaxForward) -> Call<Slot> {
    let buffers = [op.x, op.x, op.y];
    softmax(plan, "softmax_forward", op.width, buffers, None)
}

pub(super) fn softmax_backward(plan: &Plan, op: &SoftmaxBackward) -> Call<Slot> {
    let buffers = [op.dy, op.y, op.dx];
    softmax(plan, "softmax_backward", op.width, buffers, op.through)
}

fn softmax(
    plan: &Plan,
    entry: &'static str,
    width: usize,
    [a, b, out]: [BufferId; 3],
    through: Option<Through>,
) -> Call<Slot> {
    let rows = plan.buffer(out).len() / width;
    Call::new(entry, include_str!("../../../../shaders/softmax.wgsl"))
        .sizes(&[("ROWS", rows), ("WIDTH", width)])
        .through(through)
        .invocations(rows)
        .read(Slot::Buffer(a))
        .read(Slot::Buffer(b))
        .read(through_slot(through, a))
        .write(Slot::Buffer(out))
}

/// The loss's kernel, and in it what the dense layer `behind` goes on with.
pub(super) fn loss_call(
    plan: &Plan,
    tuning: &Tuning,
    op: &LossOp,
    behind: Option<&DenseBehind>,
) -> Call<Slot> {
    let (loss, width) = (op.loss, op.width);
    let (entry, text) = match loss {
        Loss::CategoricalCrossentropy { .. } => (
            "softmax_cross_entropy",
            include_str!("../../../../shaders/softmax_cross_entropy.wgsl"),
        ),
        Loss::BinaryCrossentropy { .. } => (
            "sigmoid_cross_entropy",
            include_str!("../../../../shaders/sigmoid_cross_entropy.wgsl"),
        ),
        Loss::MeanSquaredError => (
            "mean_squared_error",
            include_str!("../../../../shaders/mean_squared_error.wgsl"),
        ),
    };
    let common = include_str!("../../../../shaders/loss.wgsl");
    let then = match behind {
        Some(_) => include_str!("../../../../shaders/dense_behind.wgsl"),
        None => "fn behind(r: u32) {}\n",
    };
    let [off, on] = loss.targets(width).map(|t| t as f32);
    let call = Call::new(entry, format!("{common}\n{text}\n{then}"))
        .sizes(&[
            ("BATCH", plan.batch),
            ("WIDTH", width),
            ("CLASSES", loss.classes(width)),
            ("HAS_DX", usize::from(op.dx.is_some())),
        ])
        .numbers(&[("OFF", off), ("ON", on)])
        .invocations(1)
        .read(Slot::Buffer(op.x))
        .read(Slot::Buffer(op.labels))
        .write(Slot::Buffer(op.predictions))
        .write(Slot::Metrics)
        .write(op.dx.map_or(Slot::Nothing, Slot::Buffer));
    let class_weights = op.class_weights.as_deref().unwrap_or_default();
    let Some(&DenseBehind {
        inputs,
        w,
        dx,
        through,
    }) = behind
    else {
        return call.table("class_weight", class_weights);
    };
    call.sizes(&[("INPUTS", inputs)])
        .through(through)
        .write(Slot::Buffer(dx))
        .load("w", Slot::Buffer(w), Vector::floats(1), tuning.image_copies)
        .load(
            "through",
            through_slot(through, w),
            Vector::floats(1),
            tuning.image_copies,
        )
        .table("class_weight", class_weights)
}

pub(super) fn update(plan: &Plan, tuning: &Tuning, optimizer: &Optimizer) -> Call<Slot> {
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
    let (entry, numbers) = match optimizer.rule {
        Rule::Sgd { momentum, .. } => ("sgd_update", all(momentum, 0.0, 0.0, 0.0, 0.0)),
        Rule::RmsProp {
            rho,
            momentum,
            epsilon,
            ..
        } => ("rmsprop_update", all(momentum, rho, 0.0, 0.0, epsilon)),
        Rule::Adam {
            beta_1,
            beta_2,
            epsilon,
            ..
        } => ("adam_update", all(0.0, 0.0, beta_1, beta_2, epsilon)),
    };
    let nesterov = matches!(optimizer.rule, Rule::Sgd { nesterov: true, .. });
    let numbers = numbers.map(|(name, value)| (name, value as f32));
    let cells = plan.layout.trainable / 4;
    let text = concat!(
        include_str!("../../../../shaders/partials.wgsl"),
        include_str!("../../../../shaders/update.wgsl")
    );
    let average = match optimizer.ema_momentum {
        Some(_) => include_str!("../../../../shaders/average.wgsl"),
        None => "fn move_average(i: u32, w: Cell) {}\n",
    };
    let call = Call::new(entry, format!("{text}\n{average}"))
        .cells(4)
        .numbers(&numbers)
        .sizes(&[
            ("LEN", cells),
            ("NESTEROV", usize::from(nesterov)),
            ("DECAYS", usize::from(optimizer.weight_decay != 0.0)),
        ])
        .invocations(cells)
        .load("blocks", Slot::Arena, Vector::words(4), tuning.image_copies)
        .load(
            "gradients",
            Slot::Gradients,
            Vector::floats(4),
            tuning.image_copies,
        )
        .load(
            "partials",
            Slot::Partials(0),
            Vector::floats(4),
            tuning.image_copies,
        )
        .update("params", Slot::Params, tuning.image_copies)
        .update("moment_1", Slot::Moment1, tuning.image_copies)
        .update("moment_2", Slot::Moment2, tuning.image_copies);
    match optimizer.ema_momentum {
        Some(_) => call.update("average", Slot::Average, tuning.image_copies),
        None => call,
    }
}

/// The calls that clip gradients, one gradient after the other.
pub(super) fn clip(plan: &Plan, op: &ClipGradients) -> Vec<Call<Slot>> {
    let (clip, gradients, norms) = (op.clip, &op.gradients, op.norms);
    let call = |entry, number: usize| {
        let (id, global) = (gradients[number], matches!(clip, Clip::GlobalNorm(_)));
        let len = plan.buffer(id).len();
        let text = include_str!("../../../../shaders/clip.wgsl");
        Call::new(entry, format!("{WORKGROUP_SUM}\n{text}"))
            .numbers(&[("BOUND", clip.bound() as f32)])
            .sizes(&[
                ("LEN", len),
                ("NUMBER", number),
                ("GRADIENTS", gradients.len()),
                ("IS_GLOBAL", usize::from(global)),
            ])
            .invocations(len)
            .write(Slot::Buffer(id))
            .write(norms.map_or(Slot::Nothing, Slot::Buffer))
    };
    let each = |entry| (0..gradients.len()).map(move |number| call(entry, number));
    match clip {
        Clip::Value(_) => each("clip_by_value").collect(),
        Clip::Norm(_) | Clip::GlobalNorm(_) => {
            let norms = each("gradient_norm").map(|call| call.workgroup(256).invocations(1));
            norms.chain(each("clip_by_norm")).collect()
        }
    }
}

impl Call<Slot> {
    /// Sets what a kernel has to know of the activation that it goes back through.
    pub(super) fn through(self, through: Option<Through>) -> Self {
        let activation = through.map_or(Activation::Linear, |t| t.activation);
        self.activation(activation)
            .sizes(&[("HAS_THROUGH", usize::from(through.is_some()))])
    }
}

/// The buffer of a `through`, with a stand-in where there is none.
pub(super) fn through_slot(through: Option<Through>, stand_in: BufferId) -> Slot {
    Slot::Buffer(through.map_or(stand_in, |t| t.y))
}
