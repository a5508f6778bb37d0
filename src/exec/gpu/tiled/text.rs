//! Parts shared by the texts of all tiled kernels.
//!
//! | name | what it is |
//! |---|---|
//! | `n0`, `oy`, `ox` | first sample, output row and output column of the patch |
//! | `cell0` | the first Cell of output channels of the invocation |
//! | `iy`, `ix` | row and column of the first pixel loaded |
//! | `turn`, `j` | block of input channels, channel in it |
//! | `y{i}`, `x{i}` | row and column of pixel `i` |
//! | `k{i}` | whether pixel `i` lies inside the tensor |
//! | `u{i}` | the number of pixel `i` in its window of the pool |
//! | `a{i}` | the address of pixel `i` |
//! | `p{i}` | the pixel that this lane loads as its `i`th, if lanes share them |
//! | `v{i}_{h}` | vec4 `h` of pixel `i`'s block of channels, or its channel `h` |
//! | `e{i}` | a channel of the `i`th pixel that this lane loaded |
//! | `s{i}` | a channel of pixel `i`; `s{i}_{j}`: channel `j`, if all of a block are in one sum |
//! | `t{tap}_{r}_{row}` | four summed channels of a flipped kernel, to channel `row` of Cell `r` |
//! | `w{tap}_{r}` | the weights from a tap to Cell `r` |
//! | `c{p}_{r}` | the sum of output pixel (in a weight gradient, tap and channel) `p`, Cell `r` |
//! | `b_{r}` | the sum of the bias's gradient |
//! | `bias{r}` | the bias of Cell `r` |
//! | `d{p}_{r}` | the gradient of output pixel `p` |
//! | `g{p}_{r}`, `t{p}_{r}` | gradient of the pool's window at pixel `p`, and the cell it took |

use std::fmt::{self, Display, Formatter, Write as _};

use super::super::tuning::{Fetch, Tuning};

/// A loop in the text.
pub(super) enum Loop {
    /// One iteration, so no loop in the text.
    Once(&'static str),
    /// The counter and the number of iterations, as text.
    Plain(&'static str, String),
    /// The same with few iterations, where the tuning [asks
    /// twice](super::super::tuning::Tuning::asks_twice_below): the end of the body tests for another
    /// iteration. So does the top, because LLVM 15 spills products otherwise.
    AsksTwice(&'static str, String),
}

impl Loop {
    /// A loop that asks twice with fewer than `few` iterations.
    pub(super) fn new(counter: &'static str, turns: usize, few: usize) -> Self {
        match turns {
            1 => Self::Once(counter),
            // The grid has a single index along z, which is 0; a driver that knew the number of
            // iterations would remove one of the tests.
            2.. if turns < few => Self::AsksTwice(counter, format!("({turns}u + workgroup.z)")),
            _ => Self::Plain(counter, format!("{turns}u")),
        }
    }

    /// The same, with no iterations unless `condition` holds.
    pub(super) fn only_if(self, condition: &str) -> Self {
        let gated = |turns| format!("select(0u, {turns}, {condition})");
        match self {
            Self::Once(counter) => Self::Plain(counter, gated("1u".to_owned())),
            Self::Plain(counter, turns) => Self::Plain(counter, gated(turns)),
            Self::AsksTwice(counter, turns) => Self::AsksTwice(counter, gated(turns)),
        }
    }

    pub(super) fn begin(&self, s: &mut String) {
        let _ = match self {
            Self::Once(i) => writeln!(s, "{{\nlet {i} = 0u;"),
            Self::Plain(i, turns) | Self::AsksTwice(i, turns) => {
                writeln!(s, "for (var {i} = 0u; {i} < {turns}; {i}++) {{")
            }
        };
    }

    pub(super) fn end(&self, s: &mut String) {
        if let Self::AsksTwice(i, turns) = self {
            let _ = writeln!(s, "if {i} + 1u >= {turns} {{ break; }}");
        }
        s.push_str("}\n");
    }
}

/// Invocations per workgroup, given the total.
pub(super) fn workgroup(tuning: &Tuning, fetch: Fetch, invocations: usize) -> usize {
    match fetch {
        Fetch::Direct if invocations.div_ceil(tuning.workgroup) < tuning.min_workgroups => {
            tuning.small_workgroup
        }
        Fetch::Direct => tuning.workgroup,
        Fetch::Subgroup => Fetch::LANES,
    }
}

pub(super) fn head(entry: &str) -> String {
    format!(
        "@compute @workgroup_size(WORKGROUP)
fn {entry}(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {{
"
    )
}

/// The condition that all of `conditions` hold. With `&` rather than `&&`, which drivers may
/// compile into a branch each: with some dozens in a loop body, the compiler of one software
/// adapter does not finish.
pub(super) fn all(conditions: &[String]) -> String {
    let sides = conditions.iter().map(|condition| format!("({condition})"));
    sides.collect::<Vec<_>>().join(" & ")
}

/// Number of addresses that one invocation computes.
pub(super) fn count_of(pixels: usize, fetch: Fetch) -> usize {
    match fetch {
        Fetch::Direct => pixels,
        Fetch::Subgroup => pixels.div_ceil(Fetch::LANES),
    }
}

/// A channel of a block, in the text: a literal, or the loop's `j`.
#[derive(Clone, Copy)]
pub(super) enum Channel {
    Literal(usize),
    Loop,
}

impl Display for Channel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(j) => write!(f, "{j}u"),
            Self::Loop => f.write_str("j"),
        }
    }
}

/// `v{i}_{h}`: the vec4s, or single channels, of each pixel's block of channels.
pub(super) fn load_pixels(
    s: &mut String,
    pixels: usize,
    rb: usize,
    fetch: Fetch,
    guarded: bool,
    unpool: bool,
) {
    for i in 0..count_of(pixels, fetch) {
        let mut load = |name: String, at: String, zero: &str| {
            let mut value = format!("load_x({at})");
            if unpool {
                value = format!(
                    "select(Cell(0.0), {value} * derivative(load_made({at})), load_taken({at}) == Words(u{i}))"
                );
            }
            if guarded {
                value = format!("select({zero}, {value}, k{i})");
            }
            let _ = writeln!(s, "let {name} = {value};");
        };
        if rb.is_multiple_of(4) {
            let vectors = rb / 4;
            for h in 0..vectors {
                let at = format!("a{i} + turn * {vectors}u + {h}u");
                load(format!("v{i}_{h}"), at, "vec4<f32>()");
            }
            continue;
        }
        for j in 0..rb {
            let at = format!("a{i} + turn * {rb}u + {j}u");
            load(format!("v{i}_{j}"), at, "0.0");
        }
    }
}

/// `s{i}{suffix}`: channel `j` of each pixel, for all invocations that share it.
pub(super) fn broadcast(
    s: &mut String,
    pixels: usize,
    rb: usize,
    j: Channel,
    suffix: &str,
    fetch: Fetch,
) {
    let channel = |i: usize| match (rb, j) {
        (rb, Channel::Literal(j)) if rb.is_multiple_of(4) => format!("v{i}_{}[{}]", j / 4, j % 4),
        (_, Channel::Literal(j)) => format!("v{i}_{j}"),
        // Only blocks of a single vec4 are looped over.
        (_, Channel::Loop) => format!("v{i}_0[j]"),
    };
    match fetch {
        Fetch::Direct => {
            for i in 0..pixels {
                let _ = writeln!(s, "let s{i}{suffix} = {};", channel(i));
            }
        }
        Fetch::Subgroup => {
            for i in 0..pixels.div_ceil(Fetch::LANES) {
                let _ = writeln!(s, "let e{i}{suffix} = {};", channel(i));
            }
            for i in 0..pixels {
                let _ = writeln!(
                    s,
                    "let s{i}{suffix} = subgroupBroadcast(e{}{suffix}, {}u);",
                    i / Fetch::LANES,
                    i % Fetch::LANES
                );
            }
        }
    }
}
