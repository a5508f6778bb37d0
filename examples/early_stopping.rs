//! Stops training when the validation loss stops improving, and restores the best epoch's weights.
//!
//! `cargo run --release --example early_stopping`

use cnn_gpu::data::digits;
use cnn_gpu::exec::{self, Selection};
use cnn_gpu::model::{Activation, Dense, Flatten, Sequential};
use cnn_gpu::train::callbacks::EarlyStopping;
use cnn_gpu::train::{Metric, Options, Trainer};

/// Trains on few digits, so that the model soon overfits.
pub fn main() -> cnn_gpu::Result<()> {
    let (train, validation) = (digits::generate(500, 1, 0), digits::generate(500, 1, 500));
    let model = Sequential::new([28, 28, 1])
        .add(Flatten::new())
        .add(Dense::new(64).activation(Activation::Relu))
        .add(Dense::new(10).activation(Activation::Softmax));

    let device = exec::open(&Selection::default())?;
    let mut trainer = Trainer::new(model, &device, Options::default().epochs(100))?;
    let mut stopping = EarlyStopping::new(Metric::ValLoss)
        .patience(3)
        .restore_best_weights(true);
    let history = trainer.fit_with((&train, &validation), &mut [&mut stopping])?;

    let losses = history.metric(Metric::ValLoss);
    for (epoch, loss) in (1..).zip(&losses) {
        println!("epoch {epoch}: val_loss {loss:.4}");
    }
    let scores = trainer.evaluate(&validation)?;
    if let Some(epoch) = history.restored_epoch {
        println!("restored epoch {epoch}: {scores}");
    }
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(losses.len() < 100, "early stopping did not stop the run");
    assert!(
        (scores.loss - best).abs() < 1e-5,
        "the best weights were not restored"
    );
    Ok(())
}
