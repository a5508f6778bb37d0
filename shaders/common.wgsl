// The start of every kernel. The host puts `const` lines before it: sizes (u32), choices, and
//   WORKGROUP  invocations in a workgroup,
//   GRID       workgroups along x; a grid past the limit of 65,535 is folded into y.
// and the aliases
//   Cell, Words, Bools  f32, u32, bool or vec4 of them: channels are handled four at a time where
//                       their number allows it. The number of cells is then a quarter.
//   LANES               the number of each value in its Cell.

// The values that change from step to step. The Rust twin is `StepParams`.
struct Step {
    // Position of the batch's first row in the data set's order.
    offset: u32,
    // Number of valid rows in the batch.
    rows: u32,
    // Index of this step's metrics.
    slot: u32,
    // The rate of the optimizer's rule.
    rate: f32,
    // The fraction of the weights that decays.
    decay: f32,
    // The fraction of the moving average that is kept.
    keep: f32,
    // The key of the step's random draws.
    key: vec2<u32>,
    // 1 if the moving average replaces the weights.
    overwrites: u32,
    // The place of the first row in its batch, if that is cut into micro-batches; otherwise 0. Random
    // draws are keyed by a row's place.
    first: u32,
    // Number of valid rows of that batch.
    batch_rows: u32,
    // Fills the last 8 bytes.
    spare: u32,
}

@group(0) @binding(0) var<uniform> step: Step;

// Flat index of an invocation in a possibly folded grid.
fn flat_index(workgroup: vec3<u32>, local: u32) -> u32 {
    return (workgroup.y * GRID + workgroup.x) * WORKGROUP + local;
}

// By its bits: a comparison with itself may be optimised away.
fn is_nan(x: Cell) -> Bools {
    return (bitcast<Words>(x) & Words(0x7fffffffu)) > Words(0x7f800000u);
}

// x < 0, by its bits: from the one after -0 to -inf. Some drivers make `select(x, 0, x < 0)` a
// maximum, which loses a NaN.
fn is_negative(x: Cell) -> Bools {
    return bitcast<Words>(x) - Words(0x80000001u) <= Words(0x7f7fffffu);
}

// exp(x). Some drivers turn NaN into infinity.
fn exp_of(x: Cell) -> Cell {
    return select(exp(x), x, is_nan(x));
}

const LEAK = 0.2;
const SELU_SCALE = 1.0507009873554805;
// SELU_SCALE times selu's alpha.
const SELU_FLOOR = 1.7580993408473766;

// exp(x) - 1, without the cancellation for small x.
fn exp_m1(x: Cell) -> Cell {
    var series = 1.0 + x * (1.0 / 9.0);
    series = 1.0 + x * (1.0 / 8.0) * series;
    series = 1.0 + x * (1.0 / 7.0) * series;
    series = 1.0 + x * (1.0 / 6.0) * series;
    series = 1.0 + x * (1.0 / 5.0) * series;
    series = 1.0 + x * (1.0 / 4.0) * series;
    series = 1.0 + x * (1.0 / 3.0) * series;
    series = 1.0 + x * (1.0 / 2.0) * series;
    return select(exp(x) - 1.0, x * series, abs(x) < Cell(0.5));
}

// ln(1 + e) for e in [0, 1], accurate for small e: 2 artanh(e / (2 + e)).
fn log_1p(e: Cell) -> Cell {
    let s = e / (2.0 + e);
    let q = s * s;
    let series = q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0)))));
    return 2.0 * (s + s * series);
}

// The standard normal distribution function at x: erfc(-x / sqrt(2)) / 2, with a relative error of
// erfc below 1.2e-7, also far out in the tail (Press et al., Numerical Recipes, 6.2).
fn normal_share(x: Cell) -> Cell {
    let t = 1.0 / (1.0 + 0.35355339059327373 * abs(x));
    var p = -0.82215223 + t * 0.17087277;
    p = 1.48851587 + t * p;
    p = -1.13520398 + t * p;
    p = 0.27886807 + t * p;
    p = -0.18628806 + t * p;
    p = 0.09678418 + t * p;
    p = 0.37409196 + t * p;
    p = 1.00002368 + t * p;
    p = -1.26551223 + t * p;
    let beyond = 0.5 * t * exp_of(p - 0.5 * x * x);
    return select(1.0 - beyond, beyond, is_negative(x));
}

// Activations y = f(x), and their derivatives f'(x) as functions of what training keeps: y, or x
// for GELU, SILU and softplus. NaN stays NaN. Names are Keras's; the host declares `activate` and
// `derivative` as those of the activation that a kernel needs.

fn activate_linear(x: Cell) -> Cell {
    return x;
}

fn derivative_linear(y: Cell) -> Cell {
    return Cell(1.0);
}

fn activate_relu(x: Cell) -> Cell {
    return select(x, Cell(0.0), is_negative(x));
}

fn derivative_relu(y: Cell) -> Cell {
    return select(Cell(0.0), Cell(1.0), y > Cell(0.0));
}

fn activate_sigmoid(x: Cell) -> Cell {
    return 1.0 / (1.0 + exp_of(-x));
}

fn derivative_sigmoid(y: Cell) -> Cell {
    return y * (1.0 - y);
}

// Not the built-in function, for which WGSL allows an absolute error of 1e-5: for small x Cephes's
// polynomial, otherwise a quotient that cannot overflow.
fn activate_tanh(x: Cell) -> Cell {
    let q = x * x;
    var p = 2.06390887954e-2 - q * 5.70498872745e-3;
    p = -5.37397155531e-2 + q * p;
    p = 1.33314422036e-1 + q * p;
    p = -3.33332819422e-1 + q * p;
    let e = exp_of(-2.0 * abs(x));
    let share = (1.0 - e) / (1.0 + e);
    return select(select(share, -share, is_negative(x)), x + x * q * p, abs(x) < Cell(0.625));
}

fn derivative_tanh(y: Cell) -> Cell {
    return (1.0 - y) * (1.0 + y);
}

fn activate_leaky_relu(x: Cell) -> Cell {
    return select(x, LEAK * x, is_negative(x));
}

fn derivative_leaky_relu(y: Cell) -> Cell {
    return select(Cell(LEAK), Cell(1.0), y > Cell(0.0));
}

fn activate_elu(x: Cell) -> Cell {
    return select(x, exp_m1(x), is_negative(x));
}

fn derivative_elu(y: Cell) -> Cell {
    return select(Cell(1.0), y + 1.0, y < Cell(0.0));
}

fn activate_selu(x: Cell) -> Cell {
    return select(SELU_SCALE * x, SELU_FLOOR * exp_m1(x), is_negative(x));
}

fn derivative_selu(y: Cell) -> Cell {
    return select(Cell(SELU_SCALE), y + SELU_FLOOR, y < Cell(0.0));
}

fn activate_gelu(x: Cell) -> Cell {
    return x * normal_share(x);
}

fn derivative_gelu(x: Cell) -> Cell {
    return normal_share(x) + x * exp(-0.5 * x * x) * 0.3989422804014327;
}

fn activate_silu(x: Cell) -> Cell {
    return x * activate_sigmoid(x);
}

fn derivative_silu(x: Cell) -> Cell {
    let s = activate_sigmoid(x);
    return s * (1.0 + x * (1.0 - s));
}

fn activate_softplus(x: Cell) -> Cell {
    return select(max(x, Cell(0.0)) + log_1p(exp(-abs(x))), x, is_nan(x));
}

fn derivative_softplus(x: Cell) -> Cell {
    return activate_sigmoid(x);
}
