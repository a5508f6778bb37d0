//! The optimizer's table in a settings file, with Keras's names.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Clip, Optimizer, UpdateRule};

/// Omitted settings have their defaults.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OptimizerSettings {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rho: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beta_1: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    beta_2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epsilon: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clipnorm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    global_clipnorm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clipvalue: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ema_momentum: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ema_overwrite_frequency: Option<u64>,
}

impl Serialize for Optimizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        OptimizerSettings::from(*self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Optimizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let settings = OptimizerSettings::deserialize(deserializer)?;
        Self::try_from(settings).map_err(D::Error::custom)
    }
}

impl From<Optimizer> for OptimizerSettings {
    fn from(optimizer: Optimizer) -> Self {
        let bound = |name| {
            let clip = optimizer.clip.filter(|clip| clip.name() == name);
            clip.map(|clip| clip.bound())
        };
        let mut settings = Self {
            name: optimizer.name().into(),
            learning_rate: Some(optimizer.learning_rate()),
            weight_decay: Some(optimizer.weight_decay).filter(|share| *share != 0.0),
            clipnorm: bound("clipnorm"),
            global_clipnorm: bound("global_clipnorm"),
            clipvalue: bound("clipvalue"),
            ema_momentum: optimizer.ema_momentum,
            ema_overwrite_frequency: optimizer.ema_overwrite_frequency,
            ..Self::default()
        };
        if let UpdateRule::Sgd { nesterov, .. } = optimizer.rule {
            settings.nesterov = Some(nesterov);
        }
        for (name, value) in optimizer.coefficients() {
            if let Some(place) = settings.coefficient(name) {
                *place = Some(value);
            }
        }
        settings
    }
}

impl TryFrom<OptimizerSettings> for Optimizer {
    type Error = String;

    fn try_from(mut settings: OptimizerSettings) -> Result<Self, String> {
        let mut optimizer = Self::by_name(&settings.name).map_err(|e| e.to_string())?;
        if let Some(rate) = settings.learning_rate {
            optimizer = optimizer.with_learning_rate(rate);
        }
        let [norm, global] = [settings.clipnorm, settings.global_clipnorm];
        optimizer.clip = Clip::given(norm, global, settings.clipvalue)?;
        optimizer.ema_momentum = settings.ema_momentum;
        optimizer.ema_overwrite_frequency = settings.ema_overwrite_frequency;
        optimizer.weight_decay = settings.weight_decay.unwrap_or(optimizer.weight_decay);
        settings.set_rule(&mut optimizer.rule);
        match settings.left_over() {
            Some(name) => Err(format!("the optimizer {} has no `{name}`", settings.name)),
            None => Ok(optimizer),
        }
    }
}

impl OptimizerSettings {
    /// A reference to one of a rule's coefficients.
    fn coefficient(&mut self, name: &str) -> Option<&mut Option<f64>> {
        match name {
            "momentum" => Some(&mut self.momentum),
            "rho" => Some(&mut self.rho),
            "beta_1" => Some(&mut self.beta_1),
            "beta_2" => Some(&mut self.beta_2),
            "epsilon" => Some(&mut self.epsilon),
            _ => None,
        }
    }

    /// Moves the given coefficients into a rule that has them.
    fn set_rule(&mut self, rule: &mut UpdateRule) {
        let set = |place: &mut f64, given: &mut Option<f64>| {
            *place = given.take().unwrap_or(*place);
        };
        match rule {
            UpdateRule::Sgd {
                momentum, nesterov, ..
            } => {
                set(momentum, &mut self.momentum);
                *nesterov = self.nesterov.take().unwrap_or(*nesterov);
            }
            UpdateRule::RmsProp {
                rho,
                momentum,
                epsilon,
                ..
            } => {
                set(rho, &mut self.rho);
                set(momentum, &mut self.momentum);
                set(epsilon, &mut self.epsilon);
            }
            UpdateRule::Adam {
                beta_1,
                beta_2,
                epsilon,
                ..
            } => {
                set(beta_1, &mut self.beta_1);
                set(beta_2, &mut self.beta_2);
                set(epsilon, &mut self.epsilon);
            }
        }
    }

    /// A coefficient that was given although the rule does not have it.
    fn left_over(&mut self) -> Option<&'static str> {
        if self.nesterov.is_some() {
            return Some("nesterov");
        }
        let names = ["momentum", "rho", "beta_1", "beta_2", "epsilon"];
        let mut given = |name: &&str| self.coefficient(name).is_some_and(|place| place.is_some());
        names.into_iter().find(|name| given(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_optimizer_survives_a_settings_file() {
        let clipped = [Clip::Norm(1.0), Clip::GlobalNorm(2.0), Clip::Value(0.5)];
        let clipped = clipped.map(|clip| Optimizer::adamw().clip(clip).ema_momentum(0.9));
        let nesterov = Optimizer::from(UpdateRule::Sgd {
            learning_rate: 0.1,
            momentum: 0.9,
            nesterov: true,
        });
        let overwriting = nesterov.ema_momentum(0.9).ema_overwrite_frequency(5);
        let plain = [
            Optimizer::sgd(),
            Optimizer::rmsprop(),
            nesterov,
            overwriting,
        ];
        for optimizer in clipped.into_iter().chain(plain) {
            let text = toml::to_string(&optimizer).unwrap();
            assert_eq!(
                toml::from_str::<Optimizer>(&text).unwrap(),
                optimizer,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let read = |text: &str| toml::from_str::<Optimizer>(text);
        assert_eq!(read("name = \"adamw\"").unwrap(), Optimizer::adamw());
        let decayed = read("name = \"sgd\"\nweight_decay = 0.5").unwrap();
        assert_eq!(decayed, Optimizer::sgd().weight_decay(0.5));
    }

    #[test]
    fn what_an_optimizer_does_not_have_is_named() {
        let message = |text: &str| toml::from_str::<Optimizer>(text).unwrap_err().to_string();
        for (text, part) in [
            ("name = \"lion\"", "no optimizer `lion`"),
            ("name = \"adam\"\nrho = 0.9", "adam has no `rho`"),
            ("name = \"rmsprop\"\nnesterov = true", "has no `nesterov`"),
            (
                "name = \"adam\"\nclipnorm = 1.0\nclipvalue = 1.0",
                "clipnorm or clipvalue",
            ),
            ("name = \"adam\"\nclip = 1.0", "unknown field `clip`"),
        ] {
            assert!(message(text).contains(part), "{}", message(text));
        }
    }
}
