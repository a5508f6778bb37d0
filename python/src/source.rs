//! Where images and labels come from.

use cnn_gpu::data::Dataset;
use cnn_gpu::error::Result;
use cnn_gpu::train::{
    Callback, Evaluation, GeneratedData, History, Interrupt, Trainer, TrainingData, ValidationData,
};
use pyo3::prelude::*;

use crate::arrays::Arrays;
use crate::batches::{Batches, Made, interrupted};
use crate::error::Raised;

/// Images and labels of `fit` and `evaluate`.
#[derive(FromPyObject)]
pub enum Source {
    /// In memory.
    Arrays(Py<Arrays>),
    /// Made by Python.
    Batches(Py<Batches>),
}

/// A source within a call of the library.
enum OpenSource<'a> {
    Data(&'a Dataset),
    Made(Made<'a>),
}

impl<'a> OpenSource<'a> {
    fn validation(&self) -> ValidationData<'_> {
        match self {
            Self::Data(data) => ValidationData::Dataset(data),
            Self::Made(made) => ValidationData::Generator(made),
        }
    }

    fn data(&self) -> Option<&'a Dataset> {
        match self {
            Self::Data(data) => Some(data),
            Self::Made(_) => None,
        }
    }
}

impl Source {
    /// The source, whose exceptions `raised` keeps, and which ends once `interrupt` is raised.
    fn open(&self, (raised, interrupt): (&Raised, &Interrupt)) -> OpenSource<'_> {
        match self {
            Self::Arrays(arrays) => OpenSource::Data(&arrays.get().data),
            Self::Batches(batches) => OpenSource::Made(Made {
                batches: batches.get(),
                raised: raised.clone(),
                interrupt: interrupt.clone(),
            }),
        }
    }

    /// Loss and accuracy on all images, or on the first `steps` batches.
    pub fn evaluate(
        &self,
        trainer: &mut Trainer,
        steps: Option<usize>,
        (raised, interrupt): (&Raised, &Interrupt),
    ) -> Result<Evaluation> {
        match self.open((raised, interrupt)) {
            OpenSource::Data(data) => {
                let done = trainer.evaluate_unless(data, interrupt);
                trainer.unload(data)?;
                done?.ok_or_else(interrupted)
            }
            OpenSource::Made(made) => trainer.evaluate_generator(&made, steps),
        }
    }

    /// Trains, and releases the device's copies.
    pub fn fit(
        &self,
        trainer: &mut Trainer,
        validation: Option<&Self>,
        callbacks: &mut [&mut dyn Callback],
        call: (&Raised, &Interrupt),
    ) -> Result<History> {
        let training = self.open(call);
        let validation = validation.map(|source| source.open(call));
        let validated = validation.as_ref().map(OpenSource::validation);
        let trained = match &training {
            OpenSource::Data(data) => {
                trainer.fit_with(TrainingData::new(data, validated), callbacks)
            }
            OpenSource::Made(made) => {
                let steps = trainer.options().steps_per_epoch;
                trainer.fit_generator(GeneratedData::new(made, validated), steps, callbacks)
            }
        };
        let resident = [Some(&training), validation.as_ref()].into_iter().flatten();
        for data in resident.filter_map(OpenSource::data) {
            // The error of training is the one to report.
            let unloaded = trainer.unload(data);
            if trained.is_ok() {
                unloaded?;
            }
        }
        trained
    }
}
