// What every kernel starts with. The host puts `const` lines before it: sizes (u32), choices, and
//   WORKGROUP  invocations in a workgroup,
//   GRID       workgroups along x; a grid past the limit of 65,535 is folded into y.
// and the aliases
//   Cell, Words, Bools  f32, u32, bool or vec4 of them: channels are handled four at a time where
//                       their number allows it. The number of cells is then a quarter.
//   LANES               the number of each value in its Cell.

// What changes from step to step. Its Rust twin is `StepParams`.
struct Step {
    // Place of the batch's first row in the data set's order.
    offset: u32,
    // Valid rows of the batch.
    rows: u32,
    // Where this step's loss and correct count go.
    slot: u32,
    // What the optimizer's rule multiplies with.
    rate: f32,
    // The share of the weights that decays.
    decay: f32,
    // The share of the weights' average that stays.
    keep: f32,
    // The key of the step's draws.
    key: vec2<u32>,
}

@group(0) @binding(0) var<uniform> step: Step;

// Flat number of an invocation, whatever the grid was folded to.
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

// exp(x). Some drivers make infinity of a NaN.
fn exp_of(x: Cell) -> Cell {
    return select(exp(x), x, is_nan(x));
}

const LEAK = 0.2;
const SELU_SCALE = 1.0507009873554805;
// SELU_SCALE times selu's alpha.
const SELU_FLOOR = 1.7580993408473766;

// exp(x) - 1, whose difference would lose the digits of a small x.
fn exp_m1(x: Cell) -> Cell {
    let series = x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x / 24.0)));
    return select(exp(x) - 1.0, series, abs(x) < Cell(0.03));
}

// The share of a standard normal distribution that lies below x: (1 + erf(x / sqrt(2))) / 2, with
// erf within 1.5e-7 (Abramowitz and Stegun, 7.1.26).
fn normal_share(x: Cell) -> Cell {
    let z = abs(x) * 0.7071067811865476;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    let above = 0.5 * p * exp(-z * z);
    return select(1.0 - above, above, x < Cell(0.0));
}

// Activations, y = f(x), and their derivatives f'(x) from what training keeps: y, and for GELU and SILU x
// itself. A NaN stays a NaN. Names are Keras's; the host declares `activate` and `derivative` as the
// functions of the one that a kernel needs.

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

// tanh overflows in some drivers beyond 44; it is 1 to the last bit from 10 on.
fn activate_tanh(x: Cell) -> Cell {
    return select(tanh(clamp(x, Cell(-15.0), Cell(15.0))), x, is_nan(x));
}

fn derivative_tanh(y: Cell) -> Cell {
    return 1.0 - y * y;
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
    return select(max(x, Cell(0.0)) + log(1.0 + exp(-abs(x))), x, is_nan(x));
}

fn derivative_softplus(y: Cell) -> Cell {
    return -exp_m1(-y);
}
