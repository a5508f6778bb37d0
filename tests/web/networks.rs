//! The networks that the tests export.

use std::sync::Arc;

use cnn_gpu::data::{Dataset, digits};
use cnn_gpu::exec::cpu::{Cpu, CpuExecutor};
use cnn_gpu::exec::{Backend, Executor as _, Inspect as _, Program, Selection, Step, open};
use cnn_gpu::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Loss,
    MaxPooling2D, Rescaling, Sequential, SpatialDropout2D, SumPooling2D, ZeroPadding2D, preset,
};
use cnn_gpu::optimizer::{Clip, Optimizer, Rates};
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::rng::Key;
use cnn_gpu::shape::Padding;
use cnn_gpu::state::State;
use cnn_gpu::train::{Options, Trainer};
use cnn_gpu::web::{SiteOptions, WebSite};

/// Rows of a batch.
pub const BATCH: usize = 16;
/// Training steps that are compared.
pub const STEPS: usize = 5;

/// A network, how it is trained, and its weights before that.
pub struct Exported {
    pub name: &'static str,
    pub model: Sequential,
    pub options: Options,
    pub state: State,
}

/// A stack with one layer of each kind, and each activation.
fn every_layer() -> Sequential {
    let relu = Activation::Relu;
    Sequential::new([28, 28, 1])
        .name("every-layer")
        .add(Rescaling::new(2.0).offset(-1.0))
        .add(ZeroPadding2D::new([[1, 0], [2, 1]]))
        .add(
            Conv2D::new(8, (3, 2))
                .strides((2, 1))
                .padding(Padding::Same)
                .activation(relu),
        )
        .add(BatchNormalization::new())
        .add(ActivationLayer::new(Activation::Gelu))
        .add(MaxPooling2D::new((2, 3)))
        .add(
            DepthwiseConv2D::new(3)
                .depth_multiplier(2)
                .activation(Activation::Silu),
        )
        .add(SpatialDropout2D::new(0.1))
        .add(Conv2D::new(8, 2).groups(4).activation(Activation::Elu))
        .add(
            Conv2D::new(8, 2)
                .dilation_rate(2)
                .padding(Padding::Same)
                .activation(Activation::Selu),
        )
        .add(AveragePooling2D::new(2).strides(1).padding(Padding::Same))
        .add(
            Conv2D::new(12, 2)
                .use_bias(false)
                .activation(Activation::LeakyRelu),
        )
        .add(SumPooling2D::new(2).strides(1))
        .add(GlobalMaxPooling2D::new().keepdims(true))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(16).activation(Activation::Tanh))
        .add(Dropout::new(0.2))
        .add(Dense::new(12).activation(Activation::Softplus))
        .add(Flatten::new())
        .add(Dense::new(10))
        .add(ActivationLayer::new(Activation::Softmax))
}

/// Skip connections: sums and concatenations of maps and of vectors, of earlier layers, of one layer
/// twice, and of the input.
fn skips() -> Sequential {
    let relu = Activation::Relu;
    Sequential::new([28, 28, 1])
        .name("skips")
        .add(
            Conv2D::new(4, 3)
                .padding(Padding::Same)
                .strides(2)
                .activation(relu)
                .name("stem"),
        )
        .add(Conv2D::new(4, 3).padding(Padding::Same).name("main"))
        .add_from("input", Conv2D::new(4, 1).strides(2).name("shortcut"))
        .add_from(["main", "stem", "shortcut"], Add::new())
        .add(ActivationLayer::new(relu))
        .add_from(["activation", "stem"], Concatenate::new())
        .add(MaxPooling2D::new(2).name("pool"))
        .add(Dropout::new(0.1).name("drop"))
        .add(Conv2D::new(8, 1).name("last"))
        .add_from(["drop", "last", "last"], Add::new())
        .add(GlobalAveragePooling2D::new().name("means"))
        .add_from("pool", Flatten::new())
        .add(Dense::new(8).activation(relu).name("head"))
        .add_from(["means", "head"], Add::new().name("vectors"))
        .add_from(["vectors", "head"], Concatenate::new())
        .add(Dense::new(10).activation(Activation::Softmax))
}

/// Ten sigmoids, trained with a rule and settings that no other network here has.
fn sigmoids() -> Sequential {
    Sequential::new([28, 28, 1])
        .name("sigmoids")
        .add(Flatten::new())
        .add(Dense::new(20).activation(Activation::Sigmoid))
        .add(Dense::new(10).activation(Activation::Sigmoid))
        .loss(Loss::BinaryCrossentropy {
            label_smoothing: 0.1,
        })
}

/// Plain numbers for each class, with the mean squared error.
fn plain_numbers() -> Sequential {
    Sequential::new([28, 28, 1])
        .name("plain-numbers")
        .add(Conv2D::new(6, 3).strides(2).activation(Activation::Relu))
        .add(Flatten::new())
        .add(Dense::new(10))
        .loss(Loss::MeanSquaredError)
}

/// All of them, trained a little.
pub fn all() -> Vec<Exported> {
    let averaged = Optimizer::adamw()
        .clip(Clip::GlobalNorm(1.0))
        .ema_momentum(0.9);
    let rmsprop = Optimizer::rmsprop();
    [
        ("mnist-cnn", preset("mnist-cnn").unwrap(), Optimizer::adam()),
        ("mnist-mlp", preset("mnist-mlp").unwrap(), Optimizer::sgd()),
        ("every-layer", every_layer(), averaged),
        ("skips", skips(), Optimizer::adam()),
        ("sigmoids", sigmoids(), rmsprop),
        ("plain-numbers", plain_numbers(), Optimizer::adam()),
    ]
    .map(|(name, model, optimizer)| exported(name, model, optimizer))
    .into()
}

/// The default network.
pub fn mnist_cnn() -> Exported {
    exported("mnist-cnn", preset("mnist-cnn").unwrap(), Optimizer::adam())
}

fn options(optimizer: Optimizer) -> Options {
    let options = Options::default().epochs(1).batch_size(BATCH);
    options.shuffle(false).optimizer(optimizer)
}

fn exported(name: &'static str, model: Sequential, optimizer: Optimizer) -> Exported {
    let options = options(optimizer);
    let mut trainer = trainer(&model, &options);
    trainer.fit(&digits::generate(320, 1, 0)).unwrap();
    let mut state = trainer.state().clone();
    // A page starts without moments.
    (state.m, state.v, state.average) = Default::default();
    state.step = 0;
    Exported {
        name,
        model,
        options,
        state,
    }
}

/// A trainer on the CPU.
fn trainer(model: &Sequential, options: &Options) -> Trainer {
    let device = open(&Selection::new(Backend::Cpu)).unwrap();
    Trainer::new(model.clone(), &device, options.clone()).unwrap()
}

/// The digits of the compared steps.
pub fn train_digits() -> Dataset {
    digits::generate(STEPS * BATCH, 2, 0)
}

/// The digits of the compared predictions.
pub fn test_digits() -> Dataset {
    digits::generate(100, 2, 1000)
}

impl Exported {
    /// Its site.
    pub fn site(&self) -> WebSite {
        let mut options = SiteOptions::new(self.options.clone());
        options.digits = true;
        WebSite::new(&self.model, &self.state, &options).unwrap()
    }

    /// An executor on the CPU with these weights, and the handle of a plan.
    fn executor(&self, plan: &Plan) -> (CpuExecutor, Program) {
        let mut executor = CpuExecutor::new(Cpu::new(), Arc::clone(&self.state.layout));
        let program = executor.compile(plan).unwrap();
        let mut state = self.state.clone();
        if self.options.optimizer.ema_momentum.is_some() {
            state.average.clone_from(&state.params);
        }
        executor.upload(&state).unwrap();
        (executor, program)
    }

    /// The values of step `t`.
    pub fn step_values(&self, t: u64) -> (Rates, Key) {
        let rates = self.options.optimizer.rates(t);
        (rates, Key::of_step(self.options.seed, t))
    }

    /// The arena of the weights after the compared steps on the CPU.
    pub fn trained(&self) -> Vec<f32> {
        let purpose = Purpose::Training(self.options.optimizer);
        let plan = Plan::new(&self.model, purpose, BATCH).unwrap();
        let (mut executor, program) = self.executor(&plan);
        let data = executor.load(&train_digits()).unwrap();
        for t in 0..STEPS {
            let (rates, key) = self.step_values(t as u64 + 1);
            let rows = t * BATCH..(t + 1) * BATCH;
            let step = Step::new(program, data, rows, rates, key);
            executor.enqueue(&step).unwrap();
        }
        let mut state = self.state.clone();
        executor.download(&mut state).unwrap();
        state.params
    }

    /// The mean loss and the accuracy on the test digits, after the compared steps, on the CPU.
    pub fn scores(&self) -> [f32; 2] {
        let mut trainer = trainer(&self.model, &self.options);
        let mut state = self.state.clone();
        state.params = self.trained();
        trainer.set_state(state).unwrap();
        let scores = trainer.evaluate(&test_digits()).unwrap();
        [scores.loss as f32, scores.accuracy as f32]
    }

    /// The logits and predictions of the test digits on the CPU.
    pub fn predictions(&self) -> [Vec<f32>; 2] {
        let plan = Plan::new(&self.model, Purpose::Inference, 100).unwrap();
        let loss = plan.loss().unwrap();
        let (logits, predictions) = (loss.x, loss.predictions);
        let (mut executor, program) = self.executor(&plan);
        let data = executor.load(&test_digits()).unwrap();
        let (rates, key) = (Rates::default(), Key::of_step(0, 1));
        let step = Step::new(program, data, 0..100, rates, key);
        executor.enqueue(&step).unwrap();
        executor.completed(true).unwrap();
        [logits, predictions].map(|id| executor.read(program, id).unwrap().into_f32())
    }
}
