//! The flags of `cnn-gpu train` that say what is made small, and how.

use clap::builder::PossibleValuesParser;
use cnn_gpu::model::{Loss, Sequential};
use cnn_gpu::optimizer::{Clip, Optimizer, UpdateRule};
use cnn_gpu::{Error, Result};

/// Keras's.
const EMA_MOMENTUM: f64 = 0.99;

/// Loss and optimizer, with Keras's names and defaults.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Loss and optimizer")]
pub struct OptimizerArgs {
    /// What training makes small [default: the model's own, categorical_crossentropy]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Loss::NAMES))]
    loss: Option<String>,

    /// The share of a label that goes to all classes alike, from 0 to less than 1 [default: the model's own, 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    label_smoothing: Option<f64>,

    /// How a step changes the weights; adamw is adam with a weight decay of 0.004
    #[arg(long, value_name = "NAME", default_value = "adam",
          value_parser = PossibleValuesParser::new(Optimizer::NAMES))]
    optimizer: String,

    /// How far a step goes [default: 0.001, for sgd 0.01]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = learning_rate)]
    learning_rate: Option<f32>,

    /// For sgd and rmsprop, from 0 to less than 1 [default: 0]
    #[arg(long, value_name = "M", allow_negative_numbers = true, value_parser = momentum)]
    momentum: Option<f64>,

    /// Nesterov's correction of the momentum, for sgd with --momentum
    #[arg(long)]
    nesterov: bool,

    /// The share of the weights that a step takes away, times the learning rate [default: 0, for
    /// adamw 0.004]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    weight_decay: Option<f64>,

    /// Scales each parameter's gradient down to this norm
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    clipnorm: Option<f64>,

    /// Scales all gradients down to this norm of them together
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    global_clipnorm: Option<f64>,

    /// Moves each element of a gradient into [-VALUE, VALUE]
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    clipvalue: Option<f64>,

    /// Averages the weights over the steps, and ends with the average where no best epoch's weights
    /// are put back
    #[arg(long)]
    use_ema: bool,

    /// The share of the average that stays from step to step [default: 0.99]
    #[arg(
        long,
        value_name = "SHARE",
        requires = "use_ema",
        allow_negative_numbers = true
    )]
    ema_momentum: Option<f64>,
}

impl OptimizerArgs {
    /// The model with the loss that was typed.
    pub fn compile(&self, mut model: Sequential) -> Result<Sequential> {
        if let Some(name) = &self.loss {
            model.loss = Loss::by_name(name)?;
        }
        if let Some(share) = self.label_smoothing {
            model.loss = model.loss.with_label_smoothing(share)?;
        }
        Ok(model)
    }

    /// The optimizer that was typed.
    pub fn optimizer(&self) -> Result<Optimizer> {
        let mut optimizer = Optimizer::by_name(&self.optimizer)?;
        self.set_momentum(&mut optimizer)?;
        if let Some(rate) = self.learning_rate {
            optimizer = optimizer.with_learning_rate(rate);
        }
        optimizer.weight_decay = self.weight_decay.unwrap_or(optimizer.weight_decay);
        let momentum = self.ema_momentum.unwrap_or(EMA_MOMENTUM);
        optimizer.ema_momentum = self.use_ema.then_some(momentum);
        let clip = Clip::given(self.clipnorm, self.global_clipnorm, self.clipvalue);
        optimizer.clip = clip.map_err(Error::Argument)?;
        Ok(optimizer)
    }

    fn set_momentum(&self, optimizer: &mut Optimizer) -> Result<()> {
        match (&mut optimizer.rule, self.momentum, self.nesterov) {
            (_, None, false) => {}
            (
                UpdateRule::Sgd {
                    momentum, nesterov, ..
                },
                given,
                wanted,
            ) => {
                *nesterov = wanted;
                *momentum = given.unwrap_or(*momentum);
                if wanted && *momentum == 0.0 {
                    return Err(Error::Argument(
                        "--nesterov corrects the momentum: expected --momentum above 0 with it"
                            .into(),
                    ));
                }
            }
            (UpdateRule::RmsProp { momentum, .. }, Some(given), false) => *momentum = given,
            (_, _, nesterov) => {
                let flag = if nesterov { "--nesterov" } else { "--momentum" };
                return Err(Error::Argument(format!(
                    "{flag} is not for the optimizer {}",
                    self.optimizer
                )));
            }
        }
        Ok(())
    }
}

/// A learning rate as it was typed; one below the range is zero to many a GPU.
fn learning_rate(typed: &str) -> Result<f32, String> {
    let (least, most) = (f32::MIN_POSITIVE, f32::MAX);
    match typed.parse() {
        Ok(rate) if (least..=most).contains(&rate) => Ok(rate),
        _ => Err(format!(
            "expected a learning rate from {least:.1e} to {most:.1e}"
        )),
    }
}

fn momentum(typed: &str) -> Result<f64, &'static str> {
    match typed.parse() {
        Ok(momentum) if (0.0..1.0).contains(&momentum) => Ok(momentum),
        _ => Err("expected a momentum from 0 to less than 1"),
    }
}
