//! Mixes the images of a batch, and their labels, in pairs: MixUp and CutMix.

use std::ops::Range;

use super::affine::image;
use super::beta::{SHARE_ONE, concentration, high, symmetric_beta};
use super::draws::RowDraws;
use super::erase::{EraseAreas, part_of_side, root_of_share};
use super::{Op, Operation, Rounding};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Element, Plan, Role, Value};
use crate::rng::Key;

/// How training mixes images. With both kinds, each step draws one of them, each with probability
/// 1/2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixing {
    /// MixUp: the parameter of the beta distribution.
    pub mixup: Option<f64>,
    /// CutMix: the range of the parameter, from which each step draws.
    pub cutmix: Option<[f64; 2]>,
}

/// Draws how each image of the batch is mixed with another. `r` is a row of the `rows` valid ones;
/// everything is computed in integers, so that all devices mix the same pixels in the same shares:
///
/// ```text
/// partner     (r + 1 + floor(U(0, rows - 1))) mod rows        the same shift for all rows of a step
/// MixUp       share ~ Beta(a, a)                              the image is share * own + (1 - share) * partner
/// CutMix      a ~ U(bounds) of the step, m ~ Beta(a, a)       see below
///             side = sqrt(1 - m)                              of the box, as a part of the image's
///             from = U(0, 1) * (1 - side) of height and width   the box lies within the image
///             share = 1 - side²                               the partner's pixels fill the box
/// ```
///
/// The rotation of the rows is a permutation without fixed points, of which Keras draws one with a
/// fixed point in most batches; in a shuffled batch the partner is as random. A batch of one row, and
/// rows that are not valid, stay as they are. If a batch is cut into micro-batches, partners are in the
/// same micro-batch; `rows` is its number of valid rows, and draws are keyed by the row's place in the
/// batch.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawMixes {
    /// The kinds and their parameters.
    pub mixing: Mixing,
    /// Height and width of the images.
    pub size: [usize; 2],
    /// Draw 0 of a row, of two words, decides on its share, draw 1 on the box's place; draw 2 of row 0
    /// on the kind and the shift, draw 3 on the parameter.
    pub draws: RowDraws,
    /// The labels, `[n]`.
    pub labels: BufferId,
    /// For each image, `[n, 8]`: the partner's row; the own share of the pixels outside of the box; two
    /// zeros; the box's first row and the one behind its last, and its columns likewise.
    pub mixes: BufferId,
    /// For each image, `[n, 4]`: its label, that of its partner, the own share, and a zero.
    pub targets: BufferId,
}

/// How one image is mixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixedRow {
    /// The row of the other image.
    pub partner: usize,
    /// The own share of a pixel outside of the box, in units of 2^-24.
    pub blend: u32,
    /// The rows and columns of the box, which the other image fills.
    pub area: [Range<usize>; 2],
    /// The own share of the target, in units of 2^-24.
    pub share: u32,
}

/// What all rows of a step have in common.
#[derive(Clone, Copy, Debug)]
pub struct StepMix {
    /// The place of the first row in the batch.
    first: usize,
    /// Number of valid rows.
    rows: usize,
    /// The distance between partners.
    shift: usize,
    cuts: bool,
    concentration: u32,
}

/// `y` is the images, each mixed with its partner. Outside of the box a pixel is
/// `share * x[r] + (1 - share) * x[partner]`, or exactly `x[r]` if the share is 1; within, it is
/// `x[partner]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MixRows {
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// The images, `[n, h, w, c]`.
    pub x: BufferId,
    /// Those of [`DrawMixes`], `[n, 8]`.
    pub mixes: BufferId,
    /// The mixed images, `[n, h, w, c]`.
    pub y: BufferId,
}

impl Mixing {
    /// Both, if there is any.
    pub fn new(mixup: Option<f64>, cutmix: Option<[f64; 2]>) -> Option<Self> {
        (mixup.is_some() || cutmix.is_some()).then_some(Self { mixup, cutmix })
    }

    /// The parameter for MixUp in units of 2^-16, if it mixes so.
    pub fn mixup_units(&self) -> Option<u32> {
        self.mixup.map(concentration)
    }

    /// The least parameter for CutMix and the number of others above it, in units of 2^-16, if it
    /// mixes so.
    pub fn cutmix_units(&self) -> Option<[u32; 2]> {
        let [least, most] = self.cutmix?.map(concentration);
        Some([least, most - least])
    }
}

impl DrawMixes {
    /// Words for each row of a batch.
    pub const LEN: usize = 8;

    /// What the rows of a step have in common.
    pub fn step(&self, key: Key, rows: usize) -> StepMix {
        let [kind, shift] = self.draws.pair(key, 0, 2);
        let [parameter, _] = self.draws.pair(key, 0, 3);
        let (mixup, cutmix) = (self.mixing.mixup_units(), self.mixing.cutmix_units());
        let cut = cutmix.filter(|_| mixup.is_none() || kind >= 1 << 31);
        let drawn = cut.map(|[least, more]| least + high(parameter, more));
        StepMix {
            first: 0,
            rows,
            shift: 1 + high(shift, rows.saturating_sub(1) as u32) as usize,
            cuts: cut.is_some(),
            concentration: drawn.or(mixup).unwrap_or(1),
        }
    }

    /// How the image in a row is mixed.
    pub fn row(&self, key: Key, step: &StepMix, row: usize) -> MixedRow {
        let mut mixed = MixedRow {
            partner: row,
            blend: SHARE_ONE,
            area: [0..0, 0..0],
            share: SHARE_ONE,
        };
        if row >= step.rows || step.rows == 1 {
            return mixed;
        }
        mixed.partner = (row + step.shift) % step.rows;
        let share = symmetric_beta(
            step.concentration,
            self.draws.pair(key, step.first + row, 0),
        );
        if step.cuts {
            let side = root_of_share(SHARE_ONE - share);
            let ([h, w], [y, x]) = (self.size, self.draws.pair(key, step.first + row, 1));
            mixed.area = [part_of_side(h, side, y), part_of_side(w, side, x)];
            mixed.share = SHARE_ONE - side * side;
        } else {
            (mixed.blend, mixed.share) = (share, share);
        }
        mixed
    }

    /// Computes `mixes` and `targets` from the labels of `rows` valid rows, which are those from `first`
    /// on of a batch.
    pub fn fill(&self, key: Key, (first, rows): (usize, usize), labels: &[u32]) -> [Vec<u32>; 2] {
        let step = StepMix {
            first,
            ..self.step(key, rows)
        };
        let (mut mixes, mut targets) = (Vec::new(), Vec::new());
        for (row, &label) in labels.iter().enumerate() {
            let mixed = self.row(key, &step, row);
            mixes.extend(mixed.words());
            targets.extend([label, labels[mixed.partner], mixed.share, 0]);
        }
        [mixes, targets]
    }
}

impl MixedRow {
    /// As a row of the buffer `mixes`.
    fn words(&self) -> [u32; DrawMixes::LEN] {
        let [rows, columns] = self.area.clone();
        let ends = [rows.start, rows.end, columns.start, columns.end].map(|end| end as u32);
        let [top, bottom, left, right] = ends;
        [
            self.partner as u32,
            self.blend,
            0,
            0,
            top,
            bottom,
            left,
            right,
        ]
    }

    /// From a row of the buffer `mixes`, without the share of the target.
    pub fn of_words(words: &[u32]) -> Self {
        let at = |i: usize| words.get(i).copied().unwrap_or_default();
        let range = |i| at(i) as usize..at(i + 1) as usize;
        Self {
            partner: at(0) as usize,
            blend: at(1),
            area: [range(4), range(6)],
            share: SHARE_ONE,
        }
    }

    /// [`Self::share`] as a number.
    pub fn share(&self) -> f32 {
        share_of(self.share)
    }

    /// [`Self::blend`] as a number.
    pub fn own(&self) -> f32 {
        share_of(self.blend)
    }
}

/// A share in units of 2^-24 as a number, exactly.
fn share_of(units: u32) -> f32 {
    units as f32 / SHARE_ONE as f32
}

/// The labels of the rows that a loss compares with.
#[derive(Clone, Copy, Debug)]
pub enum RowLabels<'a> {
    /// One class each, `[n]`.
    Single(&'a [u32]),
    /// Two of them with their shares, as [`DrawMixes::targets`].
    Mixed(&'a [u32]),
}

/// The classes of a row: `label` with the given share, and `other` with the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixedLabel {
    /// The class of the row's own image.
    pub label: u32,
    /// That of the image that it is mixed with; the same in a row that is not mixed.
    pub other: u32,
    /// The own share; 1 in a row that is not mixed.
    pub share: f32,
}

impl RowLabels<'_> {
    /// Number of words for each row.
    const MIXED_LEN: usize = 4;

    /// The classes of a row.
    #[inline(always)]
    pub fn row(self, row: usize) -> MixedLabel {
        match self {
            Self::Single(labels) => MixedLabel {
                label: labels[row],
                other: labels[row],
                share: 1.0,
            },
            Self::Mixed(targets) => {
                let words = &targets[Self::MIXED_LEN * row..][..Self::MIXED_LEN];
                MixedLabel {
                    label: words[0],
                    other: words[1],
                    share: share_of(words[2]),
                }
            }
        }
    }
}

impl MixedLabel {
    /// The class by which a row is judged and weighted, as in Keras, where it is the first maximum of
    /// the target: the one with the larger share, of two equal ones the smaller class.
    pub fn main(self) -> u32 {
        let is_own = self.share > 0.5 || (self.share == 0.5 && self.label < self.other);
        if is_own { self.label } else { self.other }
    }

    /// The share of a class.
    #[inline(always)]
    pub fn share_of(self, class: u32) -> f32 {
        let own = if class == self.label { self.share } else { 0.0 };
        own + if class == self.other {
            1.0 - self.share
        } else {
            0.0
        }
    }
}

impl Builder {
    /// Mixes the rows of a batch; returns the mixed images and the buffer of the targets.
    ///
    /// # Errors
    /// `x` is not an image, or one that is too large for CutMix.
    pub fn mix(
        &mut self,
        x: &Value,
        labels: BufferId,
        mixing: Mixing,
    ) -> Result<(Value, BufferId), String> {
        let shape = image(x)?;
        let [h, w, _] = shape;
        if mixing.cutmix.is_some() && h.max(w) > EraseAreas::MAX_SIDE {
            return Err(format!(
                "an image of {h}x{w} is too large for CutMix; expected at most {} rows and columns",
                EraseAreas::MAX_SIDE
            ));
        }
        let draws = self.row_draws();
        let words = |b: &mut Self, name: &str, len| {
            let (name, shape) = (b.unused_name(name.into()), b.batched(&[len]));
            b.buffer(name, shape, Element::U32, Role::Intermediate)
        };
        let mixes = words(self, "mixes", DrawMixes::LEN);
        let targets = words(self, "mixed labels", RowLabels::MIXED_LEN);
        self.push(Op::DrawMixes(DrawMixes {
            mixing,
            size: [h, w],
            draws,
            labels,
            mixes,
            targets,
        }));
        let name = self.unused_name("mixed images".into());
        let y = self.value_named(name, x.shape.clone(), Activation::Linear);
        self.push(Op::MixRows(MixRows {
            shape,
            x: x.buffer,
            mixes,
            y: y.buffer,
        }));
        Ok((y, targets))
    }
}

impl Operation for DrawMixes {
    fn name(&self) -> &'static str {
        "draw_mixes"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.labels]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.mixes, self.targets]
    }

    /// All in integers.
    fn flops(&self, _plan: &Plan) -> u64 {
        0
    }

    fn rounding(&self) -> Rounding {
        Rounding::None
    }
}

impl Operation for MixRows {
    fn name(&self) -> &'static str {
        "mix_rows"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x, self.mixes]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        3 * plan.elements(self.y)
    }

    /// The images a second time.
    fn extra_bytes(&self, plan: &Plan) -> u64 {
        4 * plan.elements(self.x)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Few
    }
}
