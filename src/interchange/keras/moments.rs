//! The optimizer's state in Keras's order: the steps, the learning rate, and the moments.

use super::hdf5::{StoredTensor, Variable, WeightsFile};
use crate::error::FormatError;
use crate::optimizer::{Optimizer, UpdateRule};
use crate::state::State;

/// An arena of the optimizer's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The first moment or the momentum: [`State::m`].
    First,
    /// The second moment or the velocity: [`State::v`].
    Second,
    /// The averaged weights: [`State::average`].
    Average,
}

/// The moments in Keras's order: those of each inner list are listed together for each parameter,
/// and the outer lists follow each other.
fn order(optimizer: &Optimizer) -> Vec<Vec<Moment>> {
    let averages = optimizer.ema_momentum.map(|_| vec![Moment::Average]);
    let rule = match optimizer.rule {
        UpdateRule::Sgd { momentum: 0.0, .. } => Vec::new(),
        UpdateRule::Sgd { .. } => vec![vec![Moment::First]],
        UpdateRule::RmsProp { momentum: 0.0, .. } => vec![vec![Moment::Second]],
        UpdateRule::RmsProp { .. } => vec![vec![Moment::Second], vec![Moment::First]],
        UpdateRule::Adam { .. } => vec![vec![Moment::First, Moment::Second]],
    };
    averages.into_iter().chain(rule).collect()
}

/// Each moment of each of the parameters, in Keras's order.
fn listed(optimizer: &Optimizer, parameters: &[usize]) -> Vec<(Moment, usize)> {
    let lists = order(optimizer).into_iter();
    lists
        .flat_map(|together| {
            let of = move |&p| together.clone().into_iter().map(move |moment| (moment, p));
            parameters.iter().flat_map(of)
        })
        .collect()
}

/// The variables of the optimizer, for parameters in this order.
pub(super) fn write<'a>(
    optimizer: &Optimizer,
    state: &'a State,
    order: &[usize],
) -> Vec<Variable<'a>> {
    let order = order.iter().copied();
    let trainable: Vec<usize> = order
        .filter(|&i| state.layout.parameters[i].trainable)
        .collect();
    let step = i64::try_from(state.step).unwrap_or(i64::MAX);
    let mut variables = vec![
        Variable::Integer(step),
        Variable::Float(optimizer.learning_rate()),
    ];
    for (moment, index) in listed(optimizer, &trainable) {
        let parameter = &state.layout.parameters[index];
        let arena = match moment {
            Moment::First => &state.m,
            Moment::Second => &state.v,
            // The average starts with the weights.
            Moment::Average if state.average.is_empty() => &state.params,
            Moment::Average => &state.average,
        };
        variables.push(match arena.get(parameter.range()) {
            Some(values) => Variable::Floats(&parameter.shape, values),
            None => Variable::Zeros(&parameter.shape),
        });
    }
    variables
}

/// The optimizer's variables in a file.
pub(super) struct StoredVariables {
    /// The path of the number of steps.
    pub(super) step: String,
    /// The path of the learning rate, if it is stored.
    pub(super) learning_rate: Option<String>,
    /// The paths of all others, in Keras's order.
    pub(super) moments: Vec<String>,
}

/// The optimizer's state that a file holds, found and checked but not read.
pub(super) struct StoredMoments {
    step: u64,
    learning_rate: Option<f32>,
    tensors: Vec<(Moment, usize, StoredTensor)>,
}

impl StoredMoments {
    /// Looks for the moments of the `trained` parameters.
    ///
    /// # Errors
    /// A damaged file, or tensors that are not those of this optimizer.
    pub(super) fn find(
        file: &mut WeightsFile,
        stored: &StoredVariables,
        (optimizer, trained): (&Optimizer, &[usize]),
        state: &State,
    ) -> Result<Self, FormatError> {
        let step = file.integer(&stored.step)?;
        let step = step.and_then(|step| u64::try_from(step).ok());
        let step = step.ok_or("it does not count its steps")?;
        let rate = stored.learning_rate.as_ref();
        let learning_rate = rate.map(|path| file.float(path)).transpose()?.flatten();
        let mut listed = listed(optimizer, trained);
        if stored.moments.is_empty() {
            // Compiled, but not trained.
            listed.clear();
        }
        if listed.len() != stored.moments.len() {
            let found = stored.moments.len();
            return Err(format!("expected {} moments, found {found}", listed.len()).into());
        }
        let mut tensors = Vec::with_capacity(listed.len());
        for ((moment, index), path) in listed.into_iter().zip(&stored.moments) {
            let tensor = file.tensor(path)?;
            let tensor = tensor.ok_or_else(|| format!("lacks {path}"))?;
            let parameter = &state.layout.parameters[index];
            tensor.expect_shape(&parameter.shape, &parameter.name)?;
            tensors.push((moment, index, tensor));
        }
        Ok(Self {
            step,
            learning_rate,
            tensors,
        })
    }

    /// Reads the moments into `state`, and the learning rate into `optimizer`.
    ///
    /// # Errors
    /// A damaged file.
    pub(super) fn read(
        self,
        file: &WeightsFile,
        optimizer: &mut Optimizer,
        state: &mut State,
    ) -> Result<(), FormatError> {
        state.step = self.step;
        let rate = self
            .learning_rate
            .map(|rate| optimizer.with_learning_rate(rate));
        *optimizer = rate.filter(|new| new.check().is_ok()).unwrap_or(*optimizer);
        for (moment, index, tensor) in self.tensors {
            let range = state.layout.parameters[index].range();
            let length = state.layout.len;
            let arena = match moment {
                Moment::First => &mut state.m,
                Moment::Second => &mut state.v,
                Moment::Average => &mut state.average,
            };
            if arena.is_empty() && moment == Moment::Average {
                arena.clone_from(&state.params);
            }
            arena.resize(length, 0.0);
            file.read(&tensor, &mut arena[range])?;
        }
        Ok(())
    }
}
