//! The flags of `cnn-gpu train` for the loss and the optimizer.

use clap::builder::PossibleValuesParser;
use cnn_gpu::model::{Loss, Sequential};
use cnn_gpu::optimizer::{Clip, Optimizer, UpdateRule};
use cnn_gpu::{Error, Result};

/// Keras's default.
const EMA_MOMENTUM: f64 = 0.99;

/// Loss and optimizer, with Keras's names and defaults.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Loss and optimizer")]
pub struct OptimizerArgs {
    /// Loss function [default: the model's own, or categorical_crossentropy]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Loss::NAMES))]
    loss: Option<String>,

    /// Label smoothing, from 0 to less than 1 [default: the model's own, or 0]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    label_smoothing: Option<f64>,

    /// Optimizer; adamw is adam with a weight decay of 0.004 [default: that of an imported network
    /// in --weights, or adam]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Optimizer::NAMES))]
    optimizer: Option<String>,

    /// Learning rate [default: 0.001, or 0.01 for sgd]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = learning_rate)]
    learning_rate: Option<f32>,

    /// Momentum of sgd and rmsprop, from 0 to less than 1 [default: 0]
    #[arg(long, value_name = "M", allow_negative_numbers = true, value_parser = momentum)]
    momentum: Option<f64>,

    /// Nesterov momentum, for sgd with --momentum
    #[arg(long)]
    nesterov: bool,
    /// Share of the weights, times the learning rate, that each step subtracts [default: 0, or
    /// 0.004 for adamw]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    weight_decay: Option<f64>,

    /// Scale each parameter's gradient down to this norm
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    clipnorm: Option<f64>,

    /// Scale all gradients down to this joint norm
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    global_clipnorm: Option<f64>,

    /// Clip each element of the gradients to [-VALUE, VALUE]
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    clipvalue: Option<f64>,
    /// Average the weights over the steps, and end with the average unless --restore-best-weights
    /// restores those of the best epoch
    #[arg(long)]
    use_ema: bool,

    /// Share of the average that each step keeps [default: 0.99]
    #[arg(
        long,
        value_name = "SHARE",
        requires = "use_ema",
        allow_negative_numbers = true
    )]
    ema_momentum: Option<f64>,

    /// Replace the weights by their average after every so many steps, and not only at the end
    #[arg(
        long,
        value_name = "STEPS",
        requires = "use_ema",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    ema_overwrite_frequency: Option<u64>,
}

impl OptimizerArgs {
    /// The model with the given loss.
    pub fn compile(&self, mut model: Sequential) -> Result<Sequential> {
        if let Some(name) = &self.loss {
            model.loss = Loss::by_name(name)?;
        }
        if let Some(share) = self.label_smoothing {
            model.loss = model.loss.with_label_smoothing(share)?;
        }
        Ok(model)
    }

    /// Whether a learning rate was given.
    pub fn sets_a_rate(&self) -> bool {
        self.learning_rate.is_some()
    }

    /// The given optimizer. Without a name, the flags change `base`, by default Adam.
    pub fn optimizer(&self, base: Option<Optimizer>) -> Result<Optimizer> {
        let named = self.optimizer.as_deref().map(Optimizer::by_name);
        let mut optimizer = named.transpose()?.or(base).unwrap_or_default();
        self.set_momentum(&mut optimizer)?;
        if let Some(rate) = self.learning_rate {
            optimizer = optimizer.with_learning_rate(rate);
        }
        optimizer.weight_decay = self.weight_decay.unwrap_or(optimizer.weight_decay);
        if self.use_ema {
            let momentum = self.ema_momentum.or(optimizer.ema_momentum);
            optimizer.ema_momentum = Some(momentum.unwrap_or(EMA_MOMENTUM));
            optimizer.ema_overwrite_frequency =
                (self.ema_overwrite_frequency).or(optimizer.ema_overwrite_frequency);
        }
        let clip = Clip::given(self.clipnorm, self.global_clipnorm, self.clipvalue);
        optimizer.clip = clip.map_err(Error::Argument)?.or(optimizer.clip);
        Ok(optimizer)
    }

    fn set_momentum(&self, optimizer: &mut Optimizer) -> Result<()> {
        let name = optimizer.name();
        match (&mut optimizer.rule, self.momentum, self.nesterov) {
            (_, None, false) => {}
            (
                UpdateRule::Sgd {
                    momentum, nesterov, ..
                },
                given,
                wanted,
            ) => {
                *nesterov |= wanted;
                *momentum = given.unwrap_or(*momentum);
                if wanted && *momentum == 0.0 {
                    return Err(Error::Argument(
                        "--nesterov needs momentum: expected --momentum above 0".into(),
                    ));
                }
            }
            (UpdateRule::RmsProp { momentum, .. }, Some(given), false) => *momentum = given,
            (_, _, nesterov) => {
                let flag = if nesterov { "--nesterov" } else { "--momentum" };
                return Err(Error::Argument(format!(
                    "{flag} does not apply to the optimizer {name}"
                )));
            }
        }
        Ok(())
    }
}

/// Parses a learning rate; many GPUs treat one below the range as zero.
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
