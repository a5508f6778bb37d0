//! The network of a run, with all that another program may want.

use std::path::Path;

#[cfg(feature = "gpu")]
use cnn_gpu::data::prepare;
use cnn_gpu::interchange::Network;
use cnn_gpu::optimizer::{Optimizer, UpdateRule};
use cnn_gpu::run::checkpoint::Checkpoint;
use cnn_gpu::run::{Config, RunFolder};
use cnn_gpu::state::State;
#[cfg(feature = "gpu")]
use cnn_gpu::train::Options;
use cnn_gpu::train::Snapshot;
#[cfg(feature = "gpu")]
use cnn_gpu::web::{SiteOptions, WebSite};

use crate::cli::trained_model::TrainedModel;

/// A network to export.
pub struct Collected {
    pub network: Network,
    /// What was found but does not belong to the weights, one line each.
    pub left_behind: Vec<String>,
    /// What no file but a page holds, one line each.
    pub only_on_pages: Vec<String>,
    /// How a page trains it and prepares pictures.
    #[cfg(feature = "gpu")]
    pub page: SiteOptions,
}

impl Collected {
    /// Reads the network of the folder of a run or of an imported network, or of a file of weights.
    ///
    /// # Errors
    /// As [`TrainedModel::open`] and [`TrainedModel::load_imported_moments`].
    pub fn of(path: &Path) -> cnn_gpu::Result<Self> {
        let mut trained = TrainedModel::open(path)?;
        trained.load_imported_moments()?;
        Ok(Self::from_trained(trained))
    }

    /// The network with all that its run or its import recorded.
    pub fn from_trained(mut trained: TrainedModel) -> Self {
        let (mut left_behind, mut only_on_pages) = (Vec::new(), Vec::new());
        let optimizer = match (&trained.config, &trained.home) {
            (Some(config), Some(home)) => {
                let (optimizer, left) = of_run(home, config, &mut trained.state);
                left_behind.extend(left.into_iter().chain(training_only(config)));
                only_on_pages = for_pages(config);
                Some(optimizer)
            }
            _ => trained.import.as_ref().and_then(|import| import.optimizer),
        };
        if let Some(optimizer) = optimizer {
            drop_unused(&optimizer, &mut trained.state);
        }
        let names = trained.class_names();
        #[cfg(feature = "gpu")]
        let page = page(&trained, optimizer);
        let mut network = Network::new(trained.model, trained.state).class_names(names);
        network.optimizer = optimizer;
        Self {
            network,
            left_behind,
            only_on_pages,
            #[cfg(feature = "gpu")]
            page,
        }
    }

    /// The site of the network.
    ///
    /// # Errors
    /// As [`WebSite::new`].
    #[cfg(feature = "gpu")]
    pub fn site(&self) -> cnn_gpu::Result<WebSite> {
        let Network { model, state, .. } = &self.network;
        let mut site = WebSite::new(model, state, &self.page)?;
        if state.moments().next().is_some() {
            let moments = "the moments of the optimizer: a page starts training without them";
            site.left_out.push(moments.into());
        }
        Ok(site)
    }
}

/// What a page needs to know: settings are the run's, or the defaults with an imported optimizer.
#[cfg(feature = "gpu")]
fn page(trained: &TrainedModel, optimizer: Option<Optimizer>) -> SiteOptions {
    let config = trained.config.as_ref();
    let mut training = config.map_or_else(Options::default, |config| config.training.clone());
    training.optimizer = optimizer.unwrap_or(training.optimizer);
    let mut page = SiteOptions::new(training);
    page.class_names = trained.class_names();
    let fits = trained.model.input_shape == [prepare::SIDE, prepare::SIDE, 1];
    page.digits = fits && trained.knows_digits();
    page.interpolation = trained.interpolation();
    page
}

/// What only this program's training has, and its pages.
fn for_pages(config: &Config) -> Vec<String> {
    let options = &config.training;
    let weighted = !options.class_weight.is_empty();
    let mixed = options.mixup.is_some() || options.cutmix.is_some();
    let lines = [
        (weighted, "the weights of the classes in the loss"),
        (mixed, "MixUp and CutMix of the training images"),
    ];
    let lines = lines.into_iter().filter(|(is_there, _)| *is_there);
    lines.map(|(_, line)| line.into()).collect()
}

/// What only this program's training has.
fn training_only(config: &Config) -> Vec<String> {
    let callbacks = &config.callbacks;
    let schedule = callbacks.learning_rate_schedule.is_some();
    let plateau = callbacks.reduce_lr_on_plateau.is_some();
    let lines = [
        (
            schedule,
            "the schedule of the learning rate, which stays at that of the last step",
        ),
        (plateau, "the reductions of the learning rate on a plateau"),
    ];
    let lines = lines.into_iter().filter(|(is_there, _)| *is_there);
    lines.map(|(_, line)| line.into()).collect()
}

/// The optimizer of a run, whose moments and steps are taken into `state`; and why they were not, if
/// so.
fn of_run(home: &Path, config: &Config, state: &mut State) -> (Optimizer, Option<String>) {
    let taken = RunFolder::open(home)
        .map_err(|e| e.to_string())
        .and_then(|folder| {
            let path = folder.checkpoint_path();
            if !path.exists() {
                return Err("the run has no checkpoint".into());
            }
            let checkpoint = Checkpoint::load(&path).map_err(|e| e.to_string())?;
            take(checkpoint.snapshot, config, state)
        });
    match taken {
        Ok(optimizer) => (optimizer, None),
        Err(why) => {
            // An optimizer without moments has taken no steps.
            state.step = 0;
            let left = format!("the moments and steps of the optimizer: {why}");
            (config.training.optimizer, Some(left))
        }
    }
}

/// Takes the optimizer's state of a run, if it belongs to the weights in `state`.
fn take(snapshot: Snapshot, config: &Config, state: &mut State) -> Result<Optimizer, String> {
    let theirs = snapshot.state;
    if *theirs.layout != *state.layout || !belongs(&theirs, state) {
        return Err(format!(
            "those of the checkpoint belong to the weights after step {}, and these are others",
            theirs.step
        ));
    }
    (state.m, state.v, state.average) = (theirs.m, theirs.v, theirs.average);
    state.step = theirs.step;
    let callbacks = &config.callbacks;
    let changes_rate =
        callbacks.learning_rate_schedule.is_some() || callbacks.reduce_lr_on_plateau.is_some();
    let optimizer = config.training.optimizer;
    let last = snapshot.history.last().filter(|_| changes_rate);
    let changed = last.map(|logs| optimizer.with_learning_rate(logs.learning_rate));
    Ok(changed.filter(|o| o.check().is_ok()).unwrap_or(optimizer))
}

/// Whether `weights` are those of the checkpoint, or their average, with which a run ends.
fn belongs(checkpoint: &State, weights: &State) -> bool {
    let parameters = &weights.layout.parameters;
    let is_same = |arena: &[f32], range: std::ops::Range<usize>| {
        let pair = arena.get(range.clone()).zip(weights.params.get(range));
        pair.is_some_and(|(a, b)| {
            a.iter()
                .map(|v| v.to_bits())
                .eq(b.iter().map(|v| v.to_bits()))
        })
    };
    let averaged = |trainable: bool| match trainable {
        true => &checkpoint.average,
        false => &checkpoint.params,
    };
    parameters
        .iter()
        .all(|p| is_same(&checkpoint.params, p.range()))
        || parameters
            .iter()
            .all(|p| is_same(averaged(p.trainable), p.range()))
}

/// Drops the moments that an optimizer does not use, which are zeros in a checkpoint.
fn drop_unused(optimizer: &Optimizer, state: &mut State) {
    let (first, second) = match optimizer.rule {
        UpdateRule::Sgd { momentum, .. } => (momentum != 0.0, false),
        UpdateRule::RmsProp { momentum, .. } => (momentum != 0.0, true),
        _ => (true, true),
    };
    let used = [first, second, optimizer.ema_momentum.is_some()];
    let arenas = [&mut state.m, &mut state.v, &mut state.average];
    for (arena, _) in arenas.into_iter().zip(used).filter(|(_, used)| !used) {
        *arena = Vec::new();
    }
}
