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
    // The rate that the optimizer multiplies with.
    rate: f32,
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

// Activations by number, as `activation_number` on the host gives them.
const RELU = 1u;
const SIGMOID = 2u;
const TANH = 3u;

// y = f(x). A NaN stays a NaN.
fn activate(activation: u32, x: Cell) -> Cell {
    switch activation {
        case RELU: { return select(x, Cell(0.0), x < Cell(0.0)); }
        case SIGMOID: { return Cell(1.0) / (Cell(1.0) + exp(-x)); }
        // tanh overflows in some drivers beyond 44; it is 1 to the last bit from 10 on.
        case TANH: { return select(tanh(clamp(x, Cell(-15.0), Cell(15.0))), x, is_nan(x)); }
        default: { return x; }
    }
}

// f'(x) from y = f(x).
fn derivative(activation: u32, y: Cell) -> Cell {
    switch activation {
        case RELU: { return select(Cell(0.0), Cell(1.0), y > Cell(0.0)); }
        case SIGMOID: { return y * (Cell(1.0) - y); }
        case TANH: { return Cell(1.0) - y * y; }
        default: { return Cell(1.0); }
    }
}
