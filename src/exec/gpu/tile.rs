//! The text of tiled kernels: one index map for convolutions, dense layers and their gradients.
//!
//! An invocation owns some output channels and a patch of pixels, holds one accumulator for each in
//! registers, and loops over input channels with the kernel's cells ("taps") unrolled. Sizes are
//! literal, so that the driver sees straight-line code; written by hand this would be a thousand
//! lines per shape, so it is written here. `shaders/conv2d.wgsl` says in twenty lines what these
//! kernels compute, and the checks hold them to it.
//!
//! Two ways lead the shared pixels to the invocations; see [`Fetch`].

mod choice;
mod store;
mod weight;

use std::fmt::{self, Display, Formatter, Write as _};

use choice::{Footprint, Tile, covered};
pub use store::Epilogue;
pub use weight::WeightGradient;

use super::call::Call;
use super::call::Vector;
use super::tuning::{Fetch, Tuning};
use crate::shape::Window;

/// A correlation: what a convolution's forward pass and, with the kernel flipped and transposed, the
/// gradient of its input (at stride 1) both are.
#[derive(Clone, Copy, Debug)]
pub struct Correlation {
    /// Samples.
    pub batch: usize,
    /// Sizes and strides; `ih`, `iw` are those of the tensor read.
    pub window: Window,
    /// Channels read and summed over.
    pub rc: usize,
    /// Channels written.
    pub kc: usize,
    /// True if the weights are those of the forward pass, to be flipped and transposed.
    pub flipped: bool,
    /// Rows and columns of the tensor read that can be other than zero; the rest is passed over.
    pub live: (usize, usize),
    /// A max pool that takes the result before it reaches memory; the window then ends where the
    /// last pool does.
    pub pool: Option<Pool>,
    /// Set where the tensor read is the gradient of a max pool's input, made on the way out of the
    /// gradient of its output.
    pub unpool: Option<Unpool>,
}

/// A max pool of windows that do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Height and width.
    pub size: (usize, usize),
    /// Whether to note which cell was taken.
    pub argmax: bool,
}

/// The backward pass of a max pool whose windows do not overlap: a cell has the gradient of its
/// window, times the derivative of the activation that made it, if the pool took it.
#[derive(Clone, Copy, Debug)]
pub struct Unpool {
    /// Height and width of a window.
    pub size: (usize, usize),
    /// Rows and columns of windows.
    pub windows: (usize, usize),
}

/// Channels handled at once: 4 if their number allows it.
pub fn cell_width(channels: usize) -> usize {
    if channels.is_multiple_of(4) { 4 } else { 1 }
}

/// Input channels per turn of the loop: a vec4, or as many single floats.
fn block(channels: usize) -> usize {
    match channels {
        c if c.is_multiple_of(4) => 4,
        c if c.is_multiple_of(3) => 3,
        c if c.is_multiple_of(2) => 2,
        _ => 1,
    }
}

impl Correlation {
    /// The kernel, with `entry` for a name.
    pub fn call<B: Clone>(
        &self,
        entry: &'static str,
        tuning: &Tuning,
        epilogue: Epilogue<B>,
        ([x, w, out], beside): ([B; 3], Beside<B>),
    ) -> Option<Call<B>> {
        let tile = self.tile(tuning)?;
        let fetch = self.fetch(tuning);
        let pixel = cell_width(self.rc);
        let weight = match self.flipped {
            true => pixel,
            false => cell_width(self.kc),
        };
        let text = self.text(entry, (&tile, fetch, tuning.masks), &epilogue);
        let mut call = Call::new(entry, text)
            .cells(cell_width(self.kc))
            .workgroup(workgroup(fetch))
            .invocations(self.invocations(&tile))
            .write(out);
        if self.pool.is_some_and(|pool| pool.argmax) {
            call = call.write(beside.argmax?);
        }
        let mut load = |name, buffer, texel| {
            call = call.clone().load(name, buffer, texel, tuning.image_copies);
        };
        load("x", x, Vector::floats(pixel));
        load("w", w, Vector::floats(weight));
        let cell = Vector::floats(cell_width(self.kc));
        match epilogue {
            Epilogue::Activate { bias: Some(bias) } => load("bias", bias, cell),
            Epilogue::Derive(through, _) => load("through", through, cell),
            Epilogue::Activate { bias: None } | Epilogue::Keep => {}
        }
        if self.unpool.is_some() {
            let [taken, made] = beside.unpool?;
            load("taken", taken, Vector::words(pixel));
            load("made", made, Vector::floats(pixel));
        }
        Some(call)
    }

    /// Whether the kernel can be written out.
    pub fn is_possible(&self, tuning: &Tuning) -> bool {
        self.tile(tuning).is_some()
    }

    fn text<B>(
        &self,
        entry: &str,
        (tile, fetch, masks): (&Tile, Fetch, bool),
        epilogue: &Epilogue<B>,
    ) -> String {
        let rb = block(self.rc);
        let mut s = "@group(1) @binding(0) var<storage, read_write> y: array<Cell>;\n".to_owned();
        if self.pool.is_some_and(|pool| pool.argmax) {
            s += "@group(1) @binding(1) var<storage, read_write> argmax: array<Words>;\n";
        }
        s += &head(entry);
        self.coordinates(&mut s, tile, fetch);
        self.pixels(&mut s, tile, fetch, rb);
        self.accumulate(&mut s, tile, fetch, masks);
        epilogue.prepare(&mut s, tile.q);
        match self.pool {
            None => self.store(&mut s, tile, epilogue),
            Some(pool) => self.store_pooled(&mut s, tile, epilogue, pool),
        }
        s += "}\n";
        s
    }

    /// Which samples `n0`, patch corner `oy`, `ox` and channel cells from `cell0` are ours.
    fn coordinates(&self, s: &mut String, tile: &Tile, fetch: Fetch) {
        let groups = self.kc / cell_width(self.kc) / tile.q;
        let (down, across) = self.patches(tile);
        let patches = down * across;
        let tasks = patches * self.batch / tile.ns;
        let Tile { ns, ph, pw, q, .. } = *tile;
        match fetch {
            Fetch::Direct => {
                let _ = writeln!(
                    s,
                    "let i = flat_index(workgroup, local);
let task = i / {groups}u;
if task >= {tasks}u {{ return; }}
let cell0 = (i % {groups}u) * {q}u;"
                );
            }
            Fetch::Subgroup => {
                let groups = groups / 8;
                let _ = writeln!(
                    s,
                    "let i = workgroup.y * GRID + workgroup.x;
let task = i / {groups}u;
if task >= {tasks}u {{ return; }}
let cell0 = ((i % {groups}u) * 8u + local) * {q}u;"
                );
            }
        }
        let _ = writeln!(
            s,
            "let n0 = task / {patches}u * {ns}u;
let place = task % {patches}u;
let oy = place / {across}u * {ph}u;
let ox = place % {across}u * {pw}u;"
        );
    }

    /// The pixels that a patch reads. Along an axis where it covers the whole output, those outside
    /// the input are known here and left out; elsewhere the kernel finds out.
    fn footprint(&self, tile: &Tile) -> Footprint {
        let w = &self.window;
        let (down, across) = self.patches(tile);
        let (rows, columns) = covered(w, tile.ph, tile.pw);
        let known = |patches, pad, live: usize, all| match patches {
            1 => (pad, live.min(all - pad)),
            _ => (0, all),
        };
        let (row, rows) = known(down, w.pad_top, self.live.0, rows);
        let (column, columns) = known(across, w.pad_left, self.live.1, columns);
        Footprint {
            row,
            column,
            rows,
            columns,
        }
    }

    /// For rows and for columns, whether some pixel under some patch may lie outside the input and
    /// nobody knows before.
    fn guarded(&self, tile: &Tile) -> (bool, bool) {
        let w = &self.window;
        let (down, across) = self.patches(tile);
        let (th, tw) = covered(w, tile.ph, tile.pw);
        let guarded = |patches: usize, pad, step: usize, covered, live| {
            patches > 1 && (pad > 0 || (patches - 1) * step + covered > live)
        };
        (
            guarded(down, w.pad_top, tile.ph * w.sh, th, self.live.0),
            guarded(across, w.pad_left, tile.pw * w.sw, tw, self.live.1),
        )
    }

    /// The address `a` of each pixel under the patch, and whether it is real (`k`).
    fn pixels(&self, s: &mut String, tile: &Tile, fetch: Fetch, rb: usize) {
        let w = &self.window;
        let foot = self.footprint(tile);
        let (th, tw) = (foot.rows, foot.columns);
        let count = tile.ns * foot.len();
        let per_pixel = self.rc / if rb.is_multiple_of(4) { 4 } else { 1 };
        let guarded = self.guarded(tile);
        let _ = writeln!(
            s,
            "let iy = oy * {}u + {}u - {}u;\nlet ix = ox * {}u + {}u - {}u;",
            w.sh, foot.row, w.pad_top, w.sw, foot.column, w.pad_left
        );
        for i in 0..count_of(count, fetch) {
            let (sample, row, column) = match fetch {
                Fetch::Direct => (
                    format!("{}u", i / (th * tw)),
                    format!("{}u", i / tw % th),
                    format!("{}u", i % tw),
                ),
                Fetch::Subgroup => {
                    let _ = writeln!(s, "let p{i} = min({}u + local, {}u);", i * 8, count - 1);
                    (
                        format!("p{i} / {}u", th * tw),
                        format!("p{i} / {tw}u % {th}u"),
                        format!("p{i} % {tw}u"),
                    )
                }
            };
            let _ = writeln!(s, "let y{i} = iy + {row};\nlet x{i} = ix + {column};");
            let axes = [('y', guarded.0, self.live.0), ('x', guarded.1, self.live.1)];
            let inside: Vec<String> = (axes.iter().filter(|(_, guarded, _)| *guarded))
                .map(|(name, _, live)| format!("{name}{i} < {live}u"))
                .collect();
            if !inside.is_empty() {
                let _ = writeln!(s, "let k{i} = {};", all(&inside));
            }
            // A pixel outside is loaded from the nearest address that exists, and dropped.
            let [y, x] = axes.map(|(name, guarded, live)| match guarded {
                true => format!("min({name}{i}, {}u)", live - 1),
                false => format!("{name}{i}"),
            });
            let (y, x, rows, columns) = match self.unpool {
                None => (y, x, w.ih, w.iw),
                Some(Unpool {
                    size: (kh, kw),
                    windows: (rows, columns),
                }) => {
                    let _ = writeln!(s, "let u{i} = {y} % {kh}u * {kw}u + {x} % {kw}u;");
                    (
                        format!("{y} / {kh}u"),
                        format!("{x} / {kw}u"),
                        rows,
                        columns,
                    )
                }
            };
            let _ = writeln!(
                s,
                "let a{i} = (((n0 + {sample}) * {rows}u + {y}) * {columns}u + {x}) * {per_pixel}u;"
            );
        }
    }

    fn accumulate(&self, s: &mut String, tile: &Tile, fetch: Fetch, masks: bool) {
        let rb = block(self.rc);
        for p in 0..tile.pixels() {
            for r in 0..tile.q {
                let _ = writeln!(s, "var c{p}_{r} = Cell(0.0);");
            }
        }
        let blocks = self.blocks(tile, masks);
        blocks.begin(s);
        let guarded = self.guarded(tile);
        let guarded = guarded.0 || guarded.1;
        let pixels = tile.ns * self.footprint(tile).len();
        load_pixels(s, pixels, rb, fetch, guarded, self.unpool.is_some());
        if self.flipped && rb == 4 {
            self.load_flipped_rows(s, tile);
        }
        if tile.looped {
            let channels = Loop::new("j", 4, masks);
            channels.begin(s);
            self.load_weights(s, tile, Channel::Loop, "");
            broadcast(s, pixels, rb, Channel::Loop, "", fetch);
            self.sum(s, tile, &["".into()]);
            channels.end(s);
        } else if self.window.taps() >= 4 {
            for j in (0..rb).map(Channel::Literal) {
                s.push_str("{\n");
                self.load_weights(s, tile, j, "");
                broadcast(s, pixels, rb, j, "", fetch);
                self.sum(s, tile, &["".into()]);
                s.push_str("}\n");
            }
        } else {
            let suffixes: Vec<String> = (0..rb).map(|j| format!("_{j}")).collect();
            for (j, suffix) in suffixes.iter().enumerate() {
                self.load_weights(s, tile, Channel::Literal(j), suffix);
                broadcast(s, pixels, rb, Channel::Literal(j), suffix, fetch);
            }
            self.sum(s, tile, &suffixes);
        }
        blocks.end(s);
    }

    /// The loop over blocks of channels: no turns for a patch that only meets pixels known to be zero.
    fn blocks(&self, tile: &Tile, masks: bool) -> Loop {
        let blocks = Loop::new("turn", self.rc / block(self.rc), masks);
        let (reach, _) = self.reach();
        match self.patches(tile).0 * tile.ph - reach >= tile.ph {
            true => blocks.only_if(&format!("oy < {reach}u")),
            false => blocks,
        }
    }

    /// Rows and columns of output that can be other than zero.
    fn reach(&self) -> (usize, usize) {
        let w = &self.window;
        (
            (self.live.0 + w.pad_top).div_ceil(w.sh).min(w.oh),
            (self.live.1 + w.pad_left).div_ceil(w.sw).min(w.ow),
        )
    }

    /// `w{tap}_{r}{suffix}`: the weights of channel `j` of the block to our channel cells.
    fn load_weights(&self, s: &mut String, tile: &Tile, j: Channel, suffix: &str) {
        for tap in 0..self.window.taps() {
            for r in 0..tile.q {
                let value = self.weight(tap, r, j);
                let _ = writeln!(s, "let w{tap}_{r}{suffix} = {value};");
            }
        }
    }

    fn weight(&self, tap: usize, r: usize, j: Channel) -> String {
        let rb = block(self.rc);
        let width = cell_width(self.kc);
        if !self.flipped {
            let first = tap * self.rc;
            let cells = self.kc / width;
            return format!("load_w(({first}u + turn * {rb}u + {j}) * {cells}u + cell0 + {r}u)");
        }
        let first = self.flip(tap) * self.kc;
        let rows = (0..width).map(|row| match rb {
            4 => format!("t{tap}_{r}_{row}[{j}]"),
            _ => format!(
                "load_w(({first}u + (cell0 + {r}u) * {width}u + {row}u) * {}u + turn * {rb}u + {j})",
                self.rc
            ),
        });
        format!("Cell({})", rows.collect::<Vec<_>>().join(", "))
    }

    fn flip(&self, tap: usize) -> usize {
        self.window.taps() - 1 - tap
    }

    /// Rows of the transposed weights: four summed channels at a time.
    fn load_flipped_rows(&self, s: &mut String, tile: &Tile) {
        let width = cell_width(self.kc);
        for tap in 0..self.window.taps() {
            for r in 0..tile.q {
                for row in 0..width {
                    let _ = writeln!(
                        s,
                        "let t{tap}_{r}_{row} = load_w(({}u + (cell0 + {r}u) * {width}u + {row}u) * {}u + turn);",
                        self.flip(tap) * self.kc,
                        self.rc / 4
                    );
                }
            }
        }
    }

    /// One expression per accumulator, over all taps.
    fn sum(&self, s: &mut String, tile: &Tile, suffixes: &[String]) {
        let w = &self.window;
        let foot = self.footprint(tile);
        for p in 0..tile.pixels() {
            let (sample, py, px) = tile.split(p);
            for r in 0..tile.q {
                let _ = write!(s, "c{p}_{r} = c{p}_{r}");
                for suffix in suffixes {
                    for tap in 0..w.taps() {
                        let (row, column) = (py * w.sh + tap / w.kw, px * w.sw + tap % w.kw);
                        if let Some(pixel) = foot.number(sample, row, column) {
                            let _ = write!(s, " + s{pixel}{suffix} * w{tap}_{r}{suffix}");
                        }
                    }
                }
                s.push_str(";\n");
            }
        }
    }
}

/// A loop in the text.
enum Loop {
    /// One turn, and so none in the text.
    Once(&'static str),
    /// The counter, and how many turns there are, in the text.
    Plain(&'static str, String),
    /// The same, of few turns, for an adapter that [masks](Tuning::masks): the end of the body asks whether
    /// there is another turn. So does the beginning, because LLVM 15 spills products where it does not.
    AsksTwice(&'static str, String),
}

impl Loop {
    /// Turns from which on one for nothing is cheaper than the second question.
    const MANY: usize = 32;

    fn new(counter: &'static str, turns: usize, masks: bool) -> Self {
        match turns {
            1 => Self::Once(counter),
            // The grid has one place along z, which is 0; a driver that knew the number would leave one
            // question out.
            2..Self::MANY if masks => Self::AsksTwice(counter, format!("({turns}u + workgroup.z)")),
            _ => Self::Plain(counter, format!("{turns}u")),
        }
    }

    /// The same, with no turns at all unless `condition` holds.
    fn only_if(self, condition: &str) -> Self {
        let gated = |turns| format!("select(0u, {turns}, {condition})");
        match self {
            Self::Once(counter) => Self::Plain(counter, gated("1u".to_owned())),
            Self::Plain(counter, turns) => Self::Plain(counter, gated(turns)),
            Self::AsksTwice(counter, turns) => Self::AsksTwice(counter, gated(turns)),
        }
    }

    fn begin(&self, s: &mut String) {
        let _ = match self {
            Self::Once(i) => writeln!(s, "{{\nlet {i} = 0u;"),
            Self::Plain(i, turns) | Self::AsksTwice(i, turns) => {
                writeln!(s, "for (var {i} = 0u; {i} < {turns}; {i}++) {{")
            }
        };
    }

    fn end(&self, s: &mut String) {
        if let Self::AsksTwice(i, turns) = self {
            let _ = writeln!(s, "if {i} + 1u >= {turns} {{ break; }}");
        }
        s.push_str("}\n");
    }
}

/// What a correlation may bind beside its operands.
#[derive(Clone, Copy, Debug)]
pub struct Beside<B> {
    /// Where a pool notes the cells it takes.
    pub argmax: Option<B>,
    /// For the way back through a pool, the cells that it took and what it made.
    pub unpool: Option<[B; 2]>,
}

/// Invocations to a workgroup.
fn workgroup(fetch: Fetch) -> usize {
    match fetch {
        Fetch::Direct => 64,
        Fetch::Subgroup => 8,
    }
}

fn head(entry: &str) -> String {
    format!(
        "@compute @workgroup_size(WORKGROUP)
fn {entry}(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {{
"
    )
}

/// The condition that all of `conditions` hold. `&` and not `&&`, which drivers may compile into a
/// branch each: with some dozens in a loop body the compiler of one software adapter never ends.
fn all(conditions: &[String]) -> String {
    let sides = conditions.iter().map(|condition| format!("({condition})"));
    sides.collect::<Vec<_>>().join(" & ")
}

/// Addresses that one invocation computes.
fn count_of(pixels: usize, fetch: Fetch) -> usize {
    match fetch {
        Fetch::Direct => pixels,
        Fetch::Subgroup => pixels.div_ceil(8),
    }
}

/// A channel of a block, in the text: a literal, or the loop's `j`.
#[derive(Clone, Copy)]
enum Channel {
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

/// `v{i}_{h}`: the vec4s of each pixel's block of channels, or its single channels.
fn load_pixels(
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
fn broadcast(s: &mut String, pixels: usize, rb: usize, j: Channel, suffix: &str, fetch: Fetch) {
    let channel = |i: usize| match (rb, j) {
        (rb, Channel::Literal(j)) if rb.is_multiple_of(4) => format!("v{i}_{}[{}]", j / 4, j % 4),
        (_, Channel::Literal(j)) => format!("v{i}_{j}"),
        // Only a single vec4 is looped over.
        (_, Channel::Loop) => format!("v{i}_0[j]"),
    };
    match fetch {
        Fetch::Direct => {
            for i in 0..pixels {
                let _ = writeln!(s, "let s{i}{suffix} = {};", channel(i));
            }
        }
        Fetch::Subgroup => {
            for i in 0..pixels.div_ceil(8) {
                let _ = writeln!(s, "let e{i}{suffix} = {};", channel(i));
            }
            for i in 0..pixels {
                let _ = writeln!(
                    s,
                    "let s{i}{suffix} = subgroupBroadcast(e{}{suffix}, {}u);",
                    i / 8,
                    i % 8
                );
            }
        }
    }
}
