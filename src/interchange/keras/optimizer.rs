//! Optimizers in Keras's notation.

use serde_json::{Map, Value, json};

use super::objects::{KerasObject, object};
use crate::optimizer::{Clip, Optimizer, OptimizerKind, UpdateRule};
use crate::words::short;

/// Settings that must be off: there is nothing like them here.
const MUST_BE_OFF: [&str; 5] = [
    "amsgrad",
    "centered",
    "decay",
    "gradient_accumulation_steps",
    "loss_scale_factor",
];

/// A note if an optimizer's learning rate follows a schedule, in place of which it stays at the rate
/// that this starts with.
pub(super) fn note(value: &Value) -> Option<String> {
    let (class, first) = schedule(&KerasObject::new(value)?)?;
    Some(format!(
        "the schedule of the learning rate, {class}, was not taken: the rate stays at {}",
        short(first)
    ))
}

/// The optimizer that a value denotes.
///
/// # Errors
/// Why there is no such optimizer here, in words that follow its name.
pub(super) fn read(value: &Value) -> Result<Optimizer, String> {
    let object = KerasObject::new(value).ok_or("it is not described")?;
    let optimizer = Optimizer::from(rule(&object)?);
    for key in MUST_BE_OFF {
        // Older versions write 0 for a decay that is off.
        if object.is_on(key) && object.number(key, 0.0) != 0.0 {
            return Err(format!("its setting {key} is not available"));
        }
    }
    let optional = |key: &str| object.get(key).map(|_| object.number(key, 0.0));
    let mut optimizer = optimizer.weight_decay(match object.plain().as_str() {
        "adamw" => object.number("weight_decay", 0.004),
        _ => object.number("weight_decay", 0.0),
    });
    let [norm, global, value] = ["clipnorm", "global_clipnorm", "clipvalue"].map(optional);
    optimizer.clip = Clip::given(norm, global, value)?;
    if object.is_on("use_ema") {
        optimizer = optimizer.ema_momentum(object.number("ema_momentum", 0.99));
        if let Some(steps) = object.get("ema_overwrite_frequency") {
            let steps = steps.as_u64().filter(|steps| *steps > 0);
            let steps = steps.ok_or("its ema_overwrite_frequency is not a number of steps")?;
            optimizer = optimizer.ema_overwrite_frequency(steps);
        }
    }
    optimizer.check().map_err(|e| e.to_string())?;
    Ok(optimizer)
}

/// The schedule of the learning rate, if there is one, and the rate that it starts with.
fn schedule<'a>(optimizer: &KerasObject<'a>) -> Option<(&'a str, f64)> {
    let schedule = KerasObject::new(optimizer.get("learning_rate")?)?;
    let values = schedule.get("values").and_then(Value::as_array);
    let first = schedule
        .get("initial_learning_rate")
        .or(values.and_then(|v| v.first()));
    Some((schedule.class, first?.as_f64()?))
}

fn rule(object: &KerasObject<'_>) -> Result<UpdateRule, String> {
    let learning_rate = |default: f64| {
        let given = object.get("learning_rate").or_else(|| object.get("lr"));
        let rate = given.map_or(Some(default), Value::as_f64);
        let rate = rate.or_else(|| schedule(object).map(|(_, first)| first));
        let rate = rate.ok_or("its learning rate follows a schedule, which is not available");
        rate.map(|rate| rate as f32)
    };
    let number = |key, default| object.number(key, default);
    Ok(match object.plain().as_str() {
        "sgd" => UpdateRule::Sgd {
            learning_rate: learning_rate(0.01)?,
            momentum: number("momentum", 0.0),
            nesterov: object.is_on("nesterov"),
        },
        "rmsprop" => UpdateRule::RmsProp {
            learning_rate: learning_rate(0.001)?,
            rho: number("rho", 0.9),
            momentum: number("momentum", 0.0),
            epsilon: number("epsilon", 1e-7),
        },
        "adam" | "adamw" => UpdateRule::Adam {
            learning_rate: learning_rate(0.001)?,
            beta_1: number("beta_1", 0.9),
            beta_2: number("beta_2", 0.999),
            epsilon: number("epsilon", 1e-7),
        },
        _ => return Err("there is no such optimizer here".into()),
    })
}

/// The optimizer in Keras's notation.
pub(super) fn write(optimizer: &Optimizer) -> Value {
    let (class, name) = match optimizer.kind() {
        OptimizerKind::Adam => ("Adam", "adam"),
        OptimizerKind::AdamW => ("AdamW", "adamw"),
        OptimizerKind::RmsProp => ("RMSprop", "rmsprop"),
        OptimizerKind::Sgd => ("SGD", "sgd"),
    };
    let bound = |name: &str| {
        let clip = optimizer.clip.filter(|clip| clip.name() == name);
        clip.map(|clip| clip.bound())
    };
    let mut config = json!({
        "name": name,
        "learning_rate": optimizer.learning_rate(),
        "weight_decay": Some(optimizer.weight_decay).filter(|share| *share != 0.0),
        "clipnorm": bound("clipnorm"),
        "global_clipnorm": bound("global_clipnorm"),
        "clipvalue": bound("clipvalue"),
        "use_ema": optimizer.ema_momentum.is_some(),
        "ema_momentum": optimizer.ema_momentum.unwrap_or(0.99),
        "ema_overwrite_frequency": optimizer.ema_overwrite_frequency,
        "loss_scale_factor": null,
        "gradient_accumulation_steps": null,
    });
    if let Value::Object(config) = &mut config {
        config.extend(coefficients(&optimizer.rule));
    }
    object(".optimizers", class, config)
}

/// The arguments that only this rule has.
fn coefficients(rule: &UpdateRule) -> Map<String, Value> {
    let coefficients = match *rule {
        UpdateRule::Sgd {
            momentum, nesterov, ..
        } => json!({"momentum": momentum, "nesterov": nesterov}),
        UpdateRule::RmsProp {
            rho,
            momentum,
            epsilon,
            ..
        } => json!({"rho": rho, "momentum": momentum, "epsilon": epsilon, "centered": false}),
        UpdateRule::Adam {
            beta_1,
            beta_2,
            epsilon,
            ..
        } => json!({"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": false}),
    };
    match coefficients {
        Value::Object(coefficients) => coefficients,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_optimizer_comes_back() {
        let clips = [Clip::Norm(1.0), Clip::GlobalNorm(2.0), Clip::Value(0.5)];
        let clipped = clips.map(|clip| Optimizer::adamw().clip(clip).ema_momentum(0.9));
        let nesterov = Optimizer::from(UpdateRule::Sgd {
            learning_rate: 0.1,
            momentum: 0.9,
            nesterov: true,
        });
        let rmsprop = Optimizer::from(UpdateRule::RmsProp {
            learning_rate: 0.002,
            rho: 0.8,
            momentum: 0.5,
            epsilon: 1e-6,
        });
        let all = [
            Optimizer::adam(),
            Optimizer::sgd(),
            Optimizer::rmsprop(),
            nesterov,
            nesterov.ema_momentum(0.95).ema_overwrite_frequency(5),
            rmsprop,
        ];
        let decayed = all.map(|optimizer| optimizer.weight_decay(0.01));
        for optimizer in all.into_iter().chain(decayed).chain(clipped) {
            assert_eq!(read(&write(&optimizer)), Ok(optimizer));
        }
    }

    #[test]
    fn names_and_older_notations_are_read() {
        for (value, expected) in [
            (json!("adam"), Optimizer::adam()),
            (
                json!({"class_name": "AdamW", "config": {}}),
                Optimizer::adamw(),
            ),
            (
                json!({"class_name": "Custom>RMSprop", "config": {"lr": 0.01, "decay": 0.0}}),
                Optimizer::rmsprop().with_learning_rate(0.01),
            ),
        ] {
            assert_eq!(read(&value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn a_schedule_is_replaced_by_its_first_rate_with_a_note() {
        for config in [
            json!({"initial_learning_rate": 0.5, "decay_steps": 3}),
            json!({"boundaries": [3], "values": [0.5, 0.1]}),
        ] {
            let schedule = json!({"class_name": "Decay", "config": config});
            let value = json!({"class_name": "SGD", "config": {"learning_rate": schedule}});
            assert_eq!(read(&value).unwrap().learning_rate(), 0.5);
            let note = note(&value).unwrap();
            assert!(
                note.contains("Decay") && note.ends_with("stays at 0.5"),
                "{note}"
            );
        }
        assert_eq!(note(&write(&Optimizer::adam())), None);
    }

    #[test]
    fn what_is_not_available_is_named() {
        let unknown = json!({"class_name": "OneCycle"});
        for (class, config, part) in [
            ("Lion", json!({}), "no such optimizer"),
            ("Adam", json!({"amsgrad": true}), "amsgrad"),
            ("RMSprop", json!({"centered": true}), "centered"),
            ("SGD", json!({"decay": 1e-4}), "decay"),
            (
                "SGD",
                json!({"gradient_accumulation_steps": 2}),
                "gradient_accumulation_steps",
            ),
            ("Adam", json!({"learning_rate": unknown}), "schedule"),
            (
                "Adam",
                json!({"clipnorm": 1.0, "clipvalue": 1.0}),
                "not both",
            ),
            ("SGD", json!({"momentum": 1.0}), "momentum 1"),
            (
                "SGD",
                json!({"use_ema": true, "ema_overwrite_frequency": -1}),
                "ema_overwrite_frequency",
            ),
            ("Adam", json!({"beta_1": "high"}), "beta_1"),
        ] {
            let message = read(&json!({"class_name": class, "config": config})).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        assert!(read(&json!(3)).is_err());
    }
}
