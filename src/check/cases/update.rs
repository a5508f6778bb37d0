//! Optimizer steps.

use strum::VariantArray;

use super::super::case::{Case, CaseBuilder};
use super::{all_dims, parameters};
use crate::exec::Values;
use crate::optimizer::{Clip, Optimizer, OptimizerKind, UpdateRule};
use crate::plan::{BufferId, ClipGradients, Op, Update};
use crate::rng::{Key, Stream};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (optimizer, variant) in optimizers() {
        for shapes in LAYOUTS {
            cases.push(update(optimizer, variant, shapes, 1, Gradient::Random));
        }
        cases.push(update(
            optimizer,
            variant,
            LAYOUTS[2],
            1000,
            Gradient::Random,
        ));
        if !matches!(optimizer.rule, UpdateRule::Sgd { .. }) {
            cases.push(update(optimizer, variant, LAYOUTS[2], 1, Gradient::Small));
        }
        cases.extend([0, 2, 3].map(|i| factored(optimizer, variant, LAYOUTS[i])));
        let others = [Gradient::Zero, Gradient::Large, Gradient::Nan];
        cases.extend(others.map(|g| update(optimizer, variant, LAYOUTS[2], 7, g)));
    }
    cases.extend(clips());
    // Grouped by name.
    cases.sort_by_key(|case| case.op().name());
    cases
}

/// Parameters side by side in the arenas, with and without gaps between them.
const LAYOUTS: [&[&[usize]]; 4] = [
    &[&[1]],
    &[&[64], &[256], &[128]],
    &[&[3, 3, 1, 4], &[4], &[63], &[65], &[255], &[257]],
    &[&[576, 64], &[64], &[64, 10], &[10]],
];

/// Every kind of optimizer with its defaults and with other settings, each with a name.
fn optimizers() -> Vec<(Optimizer, &'static str)> {
    let kinds = OptimizerKind::VARIANTS.iter();
    kinds.flat_map(|&kind| of_kind(kind)).collect()
}

fn of_kind(kind: OptimizerKind) -> Vec<(Optimizer, &'static str)> {
    let sgd = |nesterov| {
        Optimizer::from(UpdateRule::Sgd {
            learning_rate: 0.01,
            momentum: 0.9,
            nesterov,
        })
    };
    let rmsprop = Optimizer::from(UpdateRule::RmsProp {
        learning_rate: 0.001,
        rho: 0.9,
        momentum: 0.5,
        epsilon: 1e-7,
    });
    let all = |optimizer: Optimizer| optimizer.weight_decay(0.5).ema_momentum(0.9);
    // In step 7 of the cases, and in step 1000 too.
    let overwriting = |optimizer: Optimizer, t| all(optimizer).ema_overwrite_frequency(t);
    match kind {
        OptimizerKind::Adam => vec![(Optimizer::adam(), "plain")],
        OptimizerKind::AdamW => vec![
            (Optimizer::adamw(), "decay"),
            (all(Optimizer::adam()), "decay-average"),
            (overwriting(Optimizer::adam(), 7), "decay-overwriting"),
        ],
        OptimizerKind::RmsProp => vec![
            (Optimizer::rmsprop(), "plain"),
            (rmsprop, "momentum"),
            (all(rmsprop), "decay-average"),
            (overwriting(rmsprop, 1), "decay-overwriting"),
        ],
        OptimizerKind::Sgd => vec![
            (Optimizer::sgd(), "plain"),
            (sgd(false), "momentum"),
            (sgd(true), "nesterov"),
            (all(sgd(true)), "decay-average"),
            (overwriting(sgd(true), 500), "decay-overwriting"),
        ],
    }
}

#[derive(Clone, Copy, Debug)]
enum Gradient {
    Random,
    Zero,
    /// About epsilon, so that it matters where epsilon is added.
    Small,
    Large,
    /// The squares overflow f32.
    Huge,
    /// One infinity.
    Infinite,
    /// One NaN, which must not affect its neighbours.
    Nan,
}

impl Gradient {
    fn values(self, mut random: Vec<f32>) -> Vec<f32> {
        let middle = random.len() / 2;
        match self {
            Self::Random => {}
            Self::Zero => random.fill(0.0),
            Self::Small => random.iter_mut().for_each(|g| *g *= 1e-6),
            Self::Large => random.iter_mut().for_each(|g| *g *= 1e4),
            Self::Huge => random.iter_mut().for_each(|g| *g *= 1e25),
            Self::Infinite => random[middle] = f32::INFINITY,
            Self::Nan => random[middle] = f32::NAN,
        }
        random
    }
}

/// Step `t`; before step 1 the moments are zero.
fn update(
    optimizer: Optimizer,
    variant: &str,
    shapes: &[&[usize]],
    t: u64,
    gradient: Gradient,
) -> Case {
    let vars = format!("variant={variant} {} t={t}", described(shapes, gradient));
    case(optimizer, shapes, t, gradient, vec![1.0; shapes.len()], &vars)
}

/// Step 7, with factors of the learning rate, of which neighbours have the same.
fn factored(optimizer: Optimizer, variant: &str, shapes: &[&[usize]]) -> Case {
    let (t, gradient) = (7, Gradient::Random);
    let factors: Vec<f32> = (0..shapes.len()).map(|i| [0.25, 1.0, 3.0, 3.0, 64.0][i % 5]).collect();
    let vars = format!(
        "variant={variant} {} t={t} factors={factors:?}",
        described(shapes, gradient)
    );
    case(optimizer, shapes, t, gradient, factors, &vars.replace(", ", ","))
}

fn case(
    optimizer: Optimizer,
    shapes: &[&[usize]],
    t: u64,
    gradient: Gradient,
    factors: Vec<f32>,
    vars: &str,
) -> Case {
    let mut b = CaseBuilder::new(1).rates(optimizer.rates(t));
    let (params, gradients) = with_gradients(&mut b, shapes, gradient);
    let op = Op::Update(Update {
        optimizer,
        params,
        gradients,
        factors,
    });
    let mut case = b.finish(op, vars);
    // About as small as the step: the error of the step would be lost in larger weights.
    case.state.params.iter_mut().for_each(|w| *w *= 0.01);
    if t > 1 {
        fill_moments(&mut case);
    }
    case
}

fn fill_moments(case: &mut Case) {
    let key = Key::new(3).stream(Stream::Check, 0);
    let parameters = &case.plan.layout.parameters;
    for i in parameters.iter().flat_map(|p| p.range()) {
        case.state.m[i] = key.uniform(2 * i as u32) - 0.5;
        case.state.v[i] = key.uniform(2 * i as u32 + 1);
        case.state.average[i] = 0.5 - key.uniform(2 * i as u32);
    }
}

/// Parameters of these shapes, and their gradients.
fn with_gradients(
    b: &mut CaseBuilder,
    shapes: &[&[usize]],
    gradient: Gradient,
) -> (Vec<BufferId>, Vec<BufferId>) {
    let params = parameters(b, shapes);
    let mut gradients = Vec::new();
    for (&w, shape) in params.iter().zip(shapes) {
        let values = gradient.values(b.uniform(shape.iter().product()));
        let g = b.gradient(w);
        b.fill(g, Values::F32(values));
        gradients.push(g);
    }
    (params, gradients)
}

fn described(shapes: &[&[usize]], gradient: Gradient) -> String {
    let gradient = format!("{gradient:?}").to_lowercase();
    format!("params={} gradient={gradient}", all_dims(shapes))
}

fn clips() -> Vec<Case> {
    let mut cases = Vec::new();
    for shapes in LAYOUTS {
        // A bound that clips, and one that does not.
        for bound in [0.01, 1e3] {
            let clips = [
                Clip::Value(bound),
                Clip::Norm(bound),
                Clip::GlobalNorm(bound),
            ];
            cases.extend(clips.map(|clip| clipped(clip, shapes, Gradient::Random)));
        }
    }
    for gradient in [
        Gradient::Zero,
        Gradient::Large,
        Gradient::Huge,
        Gradient::Infinite,
        Gradient::Nan,
    ] {
        let clips = [Clip::Value(0.5), Clip::Norm(0.5), Clip::GlobalNorm(0.5)];
        cases.extend(clips.map(|clip| clipped(clip, LAYOUTS[2], gradient)));
    }
    cases
}

fn clipped(clip: Clip, shapes: &[&[usize]], gradient: Gradient) -> Case {
    let mut b = CaseBuilder::new(1);
    let (_, gradients) = with_gradients(&mut b, shapes, gradient);
    let by_norm = !matches!(clip, Clip::Value(_));
    let op = Op::ClipGradients(ClipGradients {
        clip,
        norms: by_norm.then(|| b.output("norms", &[gradients.len()])),
        gradients,
    });
    let (name, bound) = (clip.name(), clip.bound());
    b.finish(
        op,
        &format!("{name}={bound} {}", described(shapes, gradient)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_optimizer_has_cases() {
        let cases = cases();
        let updates = cases
            .iter()
            .filter_map(|case| case.op().downcast::<Update>());
        let kinds: Vec<_> = updates.map(|update| update.optimizer.kind()).collect();
        for kind in OptimizerKind::VARIANTS {
            assert!(kinds.contains(kind), "{kind:?} has no case");
        }
    }
}
