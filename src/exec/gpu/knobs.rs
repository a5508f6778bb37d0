//! The settings of kernels that `tune` tries on an adapter, and their values.
//!
//! This module is internal: it may change in any version.

use super::lower::{Lowered, LoweringMode};
use super::tuning::Tuning;
use crate::error::{Error, Result};
use crate::exec::KernelChoice;
use crate::plan::Plan;

/// A field of [`Tuning`], with the values to try.
#[derive(Clone, Copy)]
pub struct Knob {
    /// Its name in a [`KernelChoice`].
    pub name: &'static str,
    /// The values that a choice may have; the class's own may be another.
    pub values: &'static [usize],
    get: fn(&Tuning) -> usize,
    set: fn(&mut Tuning, usize),
}

/// All of them with rising values, those from which the largest effect is expected first, as the time
/// for trying them may run out. The checks of kernels run with each value.
pub const KNOBS: [Knob; 10] = [
    Knob {
        name: "accumulators",
        values: &[4, 8, 16, 32, 64, 128, 176],
        get: |tuning| tuning.accumulators,
        set: |tuning, value| tuning.accumulators = value,
    },
    Knob {
        name: "min_invocations",
        values: &[128, 2048, 8192, 16_384, 32_768, 65_536, 131_072],
        get: |tuning| tuning.min_invocations,
        set: |tuning, value| tuning.min_invocations = value,
    },
    Knob {
        name: "weight_accumulators",
        values: &[9, 18, 36, 72],
        get: |tuning| tuning.weight_accumulators,
        set: |tuning, value| tuning.weight_accumulators = value,
    },
    Knob {
        name: "workgroup",
        values: &[32, 64, 128, 256],
        get: |tuning| tuning.workgroup,
        set: |tuning, value| tuning.workgroup = value,
    },
    Knob {
        name: "max_splits",
        values: &[16, 64, 128, 256],
        get: |tuning| tuning.max_splits,
        set: |tuning, value| tuning.max_splits = value,
    },
    Knob {
        name: "untiled",
        values: &[32, 64, 128, 256],
        get: |tuning| tuning.untiled,
        set: |tuning, value| tuning.untiled = value,
    },
    Knob {
        name: "image_copies",
        values: &[0, 1],
        get: |tuning| tuning.image_copies.into(),
        set: |tuning, value| tuning.image_copies = value != 0,
    },
    Knob {
        name: "max_products",
        values: &[400, 800, 1600],
        get: |tuning| tuning.max_products,
        set: |tuning, value| tuning.max_products = value,
    },
    Knob {
        name: "summing",
        values: &[32, 64, 128, 256],
        get: |tuning| tuning.summing,
        set: |tuning, value| tuning.summing = value,
    },
    Knob {
        name: "loss",
        values: &[16, 32, 64, 128],
        get: |tuning| tuning.loss,
        set: |tuning, value| tuning.loss = value,
    },
];

impl Knob {
    /// Its value in `tuning`.
    pub(crate) fn value(&self, tuning: &Tuning) -> usize {
        (self.get)(tuning)
    }

    /// The next larger value, or the next smaller one.
    pub(crate) fn neighbour(&self, value: usize, is_up: bool) -> Option<usize> {
        let mut values = self.values.iter().copied();
        match is_up {
            true => values.find(|other| *other > value),
            false => values.rfind(|other| *other < value),
        }
    }
}

impl Tuning {
    /// The same with another value of a knob.
    pub(crate) fn turned(mut self, knob: &Knob, value: usize) -> Self {
        (knob.set)(&mut self, value);
        self
    }

    /// Whether a step of `plan` runs the same kernels with both.
    pub(crate) fn runs_like(&self, other: &Self, plan: &Plan) -> bool {
        let calls = |tuning| Lowered::new(plan, tuning, LoweringMode::Step).ops;
        calls(self) == calls(other)
    }

    /// The same with these settings.
    ///
    /// # Errors
    /// A setting or its value does not exist, as in the choice of another version.
    pub(super) fn with_choice(self, choice: &KernelChoice) -> Result<Self> {
        choice.iter().try_fold(self, |tuning, (name, value)| {
            let knob = KNOBS.iter().find(|knob| knob.name == name);
            let knob = knob.ok_or_else(|| {
                let names = KNOBS.map(|knob| knob.name).join(", ");
                Error::Argument(format!(
                    "no setting `{name}` of kernels: expected one of {names}"
                ))
            })?;
            if !knob.values.contains(&value) {
                let message = format!("{name} {value}: expected one of {:?}", knob.values);
                return Err(Error::Argument(message));
            }
            Ok(tuning.turned(knob, value))
        })
    }

    /// Checks the names and values of a choice.
    ///
    /// # Errors
    /// As [`Tuning::with_choice`].
    pub(crate) fn check(choice: &KernelChoice) -> Result<()> {
        Self::HARDWARE.with_choice(choice).map(drop)
    }

    /// In which settings it differs from `class`.
    pub(super) fn choice(&self, class: &Self) -> KernelChoice {
        let differing = KNOBS
            .iter()
            .filter(|knob| (knob.get)(self) != (knob.get)(class));
        differing
            .map(|knob| (knob.name, (knob.get)(self)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_gives_the_tuning_that_it_was_made_from() {
        for (_, class) in Tuning::CLASSES {
            assert!(class.choice(&class).is_empty());
            for knob in KNOBS {
                for value in knob.values {
                    let tuning = class.turned(&knob, *value);
                    let choice = tuning.choice(&class);
                    assert_eq!(choice.is_empty(), (knob.get)(&class) == *value);
                    assert_eq!(class.with_choice(&choice).unwrap(), tuning, "{choice}");
                }
            }
        }
    }

    #[test]
    fn neighbours_are_the_next_values_in_order() {
        for knob in KNOBS {
            assert!(knob.values.is_sorted(), "{}", knob.name);
        }
        let [accumulators, ..] = KNOBS;
        let neighbours = |value| [true, false].map(|up| accumulators.neighbour(value, up));
        assert_eq!(neighbours(8), [Some(16), Some(4)]);
        assert_eq!(neighbours(10), [Some(16), Some(8)]);
        assert_eq!(neighbours(176), [None, Some(128)]);
        assert_eq!(neighbours(4), [Some(8), None]);
    }

    #[test]
    fn unknown_settings_are_refused() {
        let refused = |name, value| {
            let choice = KernelChoice::from_iter([(name, value)]);
            Tuning::HARDWARE
                .with_choice(&choice)
                .unwrap_err()
                .to_string()
        };
        assert!(
            refused("speed", 9).starts_with("no setting `speed` of kernels: expected one of accu")
        );
        assert_eq!(
            refused("workgroup", 3),
            "workgroup 3: expected one of [32, 64, 128, 256]"
        );
    }
}
