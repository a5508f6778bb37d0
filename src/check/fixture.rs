//! Whole models against numbers that another program computed for them.
//!
//! A fixture is a model file `NAME.toml` and, beside it, `NAME.safetensors` with
//!
//! | tensor | shape | |
//! |---|---|---|
//! | `input` | n, h, w, c | f32, as the first layer takes it |
//! | `labels` | n | i32 |
//! | `param/LAYER/kernel`, `param/LAYER/bias` | the parameter's | f32, every one |
//! | `logits` | n, outputs | expected: what the loss starts from |
//! | `probabilities` | n, classes | expected |
//! | `loss` | 1 | expected, the mean over the batch |
//! | `grad/LAYER/kernel`, `grad/LAYER/bias`, `grad/input` | the tensor's | expected |
//! | `after/OPTIMIZER/STEPS/LAYER/kernel`, ... | the parameter's | expected |
//! | `inference/probabilities` | n, classes | expected of the parameters as they are at the start |
//! | `inference/loss` | 1 | likewise |
//!
//! where `OPTIMIZER` is `adam`, `rmsprop`, `sgd`, `sgd_momentum` (0.9), `adamw`, `adam_ema` (0.99; the
//! average is expected), `sgd_clipvalue` (0.01), `sgd_clipnorm` (0.1) or `sgd_global_clipnorm` (0.1),
//! else with Keras's defaults, or one that the file's metadata describes: under the key `optimizers` a
//! TOML text with a table for each name, as `[training.optimizer]` in a run's `config.toml`
//! (`[mine]`, `name = "sgd"`, `momentum = 0.5`). All `STEPS` are taken on this batch. Parameters are `kernel`, `bias`, `gamma`, ...;
//! what no optimizer changes has no `grad/`. Step `t` draws dropout under `Key::of_step(0, t)`. At least one expected tensor must be there.

mod reader;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use serde::Serialize;

use self::reader::Reader;
use super::Factory;
use crate::error::{Error, Result};
use crate::exec::reference::ReferenceExecutor;
use crate::exec::{DataId, Inspect, Program, Step, Values};
use crate::model::Sequential;
use crate::optimizer::{Clip, Optimizer, Rates, UpdateRule};
use crate::plan::{BufferId, Gather, Op, Plan, Purpose, Role};
use crate::rng::Key;
use crate::state::State;

/// A model, a batch, and what should come of it.
#[derive(Clone, Debug)]
pub struct Fixture {
    model: Sequential,
    plan: Plan,
    input: Vec<f32>,
    labels: Vec<u32>,
    state: State,
    expected: Vec<Expected>,
}

/// How far one tensor is from the expected one.
#[derive(Clone, Debug, Serialize)]
pub struct FixtureRow {
    /// The tensor's name in the fixture.
    pub tensor: String,
    /// `||a - b|| / ||b||` over the whole tensor; null in JSON if it is not a number.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
    /// The error is allowed; never so where it is not a number.
    pub pass: bool,
    /// The element that is farthest from what is expected.
    pub worst: Worst,
}

/// One element of a tensor; what is not a number is null in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Worst {
    /// Its place in each axis, from 0.
    pub index: Vec<usize>,
    /// What was computed.
    pub found: f32,
    /// What the fixture holds.
    pub expected: f32,
}

#[derive(Clone, Debug)]
struct Expected {
    name: String,
    target: Target,
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// What an expected tensor is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Logits,
    Probabilities,
    Loss,
    InputGradient,
    InferenceProbabilities,
    InferenceLoss,
    /// Of the parameter of this number.
    Gradient(usize),
    /// The parameter of this number after some steps of a rule.
    After {
        rule: Recipe,
        steps: u32,
        parameter: usize,
    },
}

/// An optimizer that a fixture names: one of [`Recipe::ALL`], or of the file's own.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Recipe {
    /// Its place among all of them, for two names may mean the same.
    number: usize,
    optimizer: Optimizer,
}

type Made = fn() -> Optimizer;

impl Recipe {
    /// Keras's defaults, but for what the name says.
    const ALL: [(&str, Made); 9] = [
        ("adam", Optimizer::adam),
        ("rmsprop", Optimizer::rmsprop),
        ("sgd", Optimizer::sgd),
        ("sgd_momentum", || {
            Optimizer::from(UpdateRule::Sgd {
                learning_rate: 0.01,
                momentum: 0.9,
                nesterov: false,
            })
        }),
        ("adamw", Optimizer::adamw),
        ("adam_ema", || Optimizer::adam().ema_momentum(0.99)),
        ("sgd_clipvalue", || Optimizer::sgd().clip(Clip::Value(0.01))),
        ("sgd_clipnorm", || Optimizer::sgd().clip(Clip::Norm(0.1))),
        ("sgd_global_clipnorm", || {
            Optimizer::sgd().clip(Clip::GlobalNorm(0.1))
        }),
    ];

    /// None that a fixture names.
    fn plain() -> Self {
        Self {
            number: usize::MAX,
            optimizer: Optimizer::sgd(),
        }
    }

    fn by_name(name: &str, own: &BTreeMap<String, Optimizer>) -> Option<Self> {
        let known = Self::ALL.iter().map(|(n, make)| (*n, make()));
        let own = own.iter().map(|(n, optimizer)| (n.as_str(), *optimizer));
        let mut all = own.chain(known).enumerate();
        all.find_map(|(number, (n, optimizer))| (n == name).then_some(Self { number, optimizer }))
    }
}

impl Fixture {
    /// Reads a fixture: the model's file, and the file of its tensors.
    ///
    /// # Errors
    /// A file cannot be read, or a tensor is missing, unknown or not as the model needs it.
    pub fn load(model: &Path, tensors: &Path) -> Result<Self> {
        Self::of_model(Sequential::from_file(model)?, tensors)
    }

    /// Reads the tensors of a fixture whose model is at hand.
    ///
    /// # Errors
    /// As [`Fixture::load`].
    pub fn of_model(model: Sequential, tensors: &Path) -> Result<Self> {
        let bytes = std::fs::read(tensors).map_err(|e| {
            Error::file(tensors, format!("cannot read the fixture: {e}")).caused_by(e)
        })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| {
            Error::file(tensors, format!("not a complete safetensors file: {e}")).caused_by(e)
        })?;
        Reader {
            path: tensors.to_owned(),
            optimizers: reader::optimizers(tensors, &bytes)?,
            file,
        }
        .fixture(model)
    }

    /// Runs the model on an executor and compares every expected tensor, in their names' order.
    ///
    /// # Errors
    /// The executor failed.
    pub fn check(&self, factory: Factory<'_>, tolerance: f64) -> Result<Vec<FixtureRow>> {
        let named = self.expected.iter().filter_map(|e| match e.target {
            Target::After { rule, .. } => Some(rule),
            _ => None,
        });
        let mut rules: Vec<Recipe> = named.collect();
        rules.sort_by_key(|rule| rule.number);
        rules.dedup();
        // What every rule gives alike is read in the first run, and clipping changes gradients in
        // their place: the first must not clip.
        match rules.iter().position(|rule| rule.optimizer.clip.is_none()) {
            Some(plain) => rules.swap(0, plain),
            None => rules.insert(0, Recipe::plain()),
        }
        let mut errors = vec![(f64::NAN, Worst::default()); self.expected.len()];
        for (i, rule) in rules.into_iter().enumerate() {
            self.run(factory, rule, i == 0, &mut errors)?;
        }
        if self.expected.iter().any(|e| e.target.is_inference()) {
            self.infer(factory, &mut errors)?;
        }
        let rows = self.expected.iter().zip(errors);
        Ok(rows
            .map(|(expected, (error, worst))| FixtureRow {
                tensor: expected.name.clone(),
                error,
                tolerance,
                pass: error <= tolerance,
                worst,
            })
            .collect())
    }

    /// Whether the f64 reference differs wherever `rows` of a device do: then the fixture or its model
    /// is at fault, not the device.
    ///
    /// # Errors
    /// The reference failed.
    pub fn is_at_fault(&self, rows: &[FixtureRow], tolerance: f64) -> Result<bool> {
        if rows.iter().all(|row| row.pass) {
            return Ok(false);
        }
        let factory =
            |layout| -> Box<dyn Inspect> { Box::new(ReferenceExecutor::reference(layout)) };
        let reference = self.check(&factory, tolerance)?;
        let mut pairs = rows.iter().zip(&reference);
        Ok(pairs.all(|(row, reference)| row.pass || !reference.pass))
    }

    /// Sets the errors of what inference gives.
    fn infer(&self, factory: Factory<'_>, errors: &mut [(f64, Worst)]) -> Result<()> {
        let plan = Plan::new(&self.model, Purpose::Inference, self.plan.batch)?;
        let mut executor = factory(Arc::clone(&plan.layout));
        let program = executor.compile(&plan)?;
        executor.upload(&self.state)?;
        let mut run = Run {
            executor: &mut *executor,
            plan: &plan,
            program,
        };
        let loss = run.step(&self.input, &self.labels, (1, Rates::default()))?;
        for (expected, error) in self.expected.iter().zip(errors) {
            if expected.target.is_inference() {
                let found = run.found(expected.target, loss)?;
                *error = expected.compare(&found);
            }
        }
        Ok(())
    }

    /// Takes all the steps that a rule is expected for, and sets the errors of what they give; of
    /// what every rule gives alike, if this is the `first`.
    fn run(
        &self,
        factory: Factory<'_>,
        rule: Recipe,
        first: bool,
        errors: &mut [(f64, Worst)],
    ) -> Result<()> {
        let optimizer = rule.optimizer;
        let purpose = Purpose::Gradients(optimizer);
        let plan = Plan::new(&self.model, purpose, self.plan.batch)?;
        let mut executor = factory(Arc::clone(&plan.layout));
        let program = executor.compile(&plan)?;
        executor.upload(&self.state)?;
        let mut run = Run {
            executor: &mut *executor,
            plan: &plan,
            program,
        };
        let steps = self.expected.iter().map(|e| e.target.steps_of(rule));
        for t in 1..=steps.fold(1, u32::max) {
            let loss = run.step(
                &self.input,
                &self.labels,
                (t.into(), optimizer.rates(t.into())),
            )?;
            for (expected, error) in self.expected.iter().zip(&mut *errors) {
                let due = match expected.target {
                    Target::After { steps, .. } => expected.target.is_of(rule) && steps == t,
                    other => first && t == 1 && !other.is_inference(),
                };
                if due {
                    let found = run.found(expected.target, loss)?;
                    *error = expected.compare(&found);
                }
            }
        }
        Ok(())
    }
}

impl Expected {
    /// The relative error of what was found, and its worst element.
    fn compare(&self, found: &[f32]) -> (f64, Worst) {
        let distance = |&(_, (found, expected)): &(usize, (&f32, &f32))| match *found - *expected {
            distance if distance.is_nan() => f32::INFINITY,
            distance => distance.abs(),
        };
        let pairs = found.iter().zip(&self.values).enumerate();
        let farthest = pairs.max_by(|a, b| distance(a).total_cmp(&distance(b)));
        let worst = farthest.map(|(place, (&found, &expected))| Worst {
            index: index(place, &self.shape),
            found,
            expected,
        });
        let error = relative_error(found, &self.values);
        (error, worst.unwrap_or_default())
    }
}

/// The place in each axis of an element of a row-major tensor.
fn index(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &n) in index.iter_mut().zip(shape).rev() {
        (*i, place) = (place % n, place / n);
    }
    index
}

impl Target {
    fn is_of(&self, wanted: Recipe) -> bool {
        matches!(self, Self::After { rule, .. } if *rule == wanted)
    }

    fn is_inference(&self) -> bool {
        matches!(self, Self::InferenceProbabilities | Self::InferenceLoss)
    }

    fn steps_of(&self, wanted: Recipe) -> u32 {
        match self {
            Self::After { rule, steps, .. } if *rule == wanted => *steps,
            _ => 0,
        }
    }
}

/// A plan on an executor.
struct Run<'a> {
    executor: &'a mut dyn Inspect,
    plan: &'a Plan,
    program: Program,
}

impl Run<'_> {
    /// Everything but the gather, whose outputs are written by hand; returns the mean loss.
    fn step(&mut self, input: &[f32], labels: &[u32], (t, rates): (u64, Rates)) -> Result<f32> {
        let Some(Op::Gather(Gather { x, labels: place })) = self.plan.ops.first() else {
            return Err(self.fault("does not start with its input"));
        };
        let (program, rows) = (self.program, self.plan.batch);
        self.executor
            .write(program, *x, &Values::F32(input.to_vec()))?;
        self.executor
            .write(program, *place, &Values::U32(labels.to_vec()))?;
        let step = Step {
            program,
            data: DataId(0),
            offset: 0,
            rows,
            rates,
            key: Key::of_step(0, t),
        };
        self.executor.run(1..self.plan.ops.len(), &step)?;
        let metrics = self.executor.completed(true)?.pop();
        Ok(metrics.map_or(f32::NAN, |m| m.loss_sum) / rows as f32)
    }

    /// The executor's values of an expected tensor.
    fn found(&mut self, target: Target, loss: f32) -> Result<Vec<f32>> {
        let buffer = match target {
            Target::Loss | Target::InferenceLoss => return Ok(vec![loss]),
            Target::Logits => self.loss_op()?.0,
            Target::Probabilities | Target::InferenceProbabilities => self.loss_op()?.1,
            Target::InputGradient => self.input_gradient()?,
            Target::Gradient(i) => self.buffer_of(Role::Gradient(i))?,
            Target::After {
                rule, parameter, ..
            } => match rule.optimizer.ema_momentum {
                Some(_) => return self.average(parameter),
                None => self.buffer_of(Role::Parameter(parameter))?,
            },
        };
        let values = self.executor.read(self.program, buffer)?;
        Ok(values.into_f32())
    }

    /// What a trainable parameter is when training ends; others have no average.
    fn average(&mut self, parameter: usize) -> Result<Vec<f32>> {
        let mut state = State::new(Arc::clone(&self.plan.layout), 0);
        state.begin_training(true);
        self.executor.download(&mut state)?;
        state.take_average();
        let range = self.plan.layout.parameters[parameter].range();
        Ok(state.params[range].to_vec())
    }

    fn loss_op(&self) -> Result<(BufferId, BufferId)> {
        let buffers = self.plan.loss().map(|op| (op.x, op.predictions));
        buffers.ok_or_else(|| self.fault("has no loss"))
    }

    /// A layer may be named `input` as well: the input's own gradient is the last.
    fn input_gradient(&self) -> Result<BufferId> {
        let found = self.plan.buffers.iter().rposition(|b| b.name == "d input");
        found
            .map(BufferId)
            .ok_or_else(|| self.fault("makes no gradient of the input"))
    }

    fn buffer_of(&self, role: Role) -> Result<BufferId> {
        let found = self.plan.buffers.iter().position(|b| b.role == role);
        found
            .map(BufferId)
            .ok_or_else(|| self.fault("makes no gradient of a parameter"))
    }

    fn fault(&self, what: &str) -> Error {
        Error::Device(format!("plan `{}` {what}", self.plan.name))
    }
}

/// `||a - b|| / ||b||`, and `||a||` where `b` is zero; NaN where either holds one.
fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let pairs = a.iter().zip(b);
    let distance = norm(&mut pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)));
    let size = norm(&mut b.iter().map(|&b| f64::from(b)));
    match a.len() == b.len() {
        true if size == 0.0 => distance,
        true => distance / size,
        false => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::{Dtype, tensor::TensorView};

    use super::*;

    const MODEL: &str = "input_shape = [1, 2, 1]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\nunits = 2\nactivation = \"softmax\"\n";

    type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

    fn floats(values: &[f32], shape: &[usize]) -> (Dtype, Vec<usize>, Vec<u8>) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        (Dtype::F32, shape.to_vec(), bytes)
    }

    fn labels(values: &[i32]) -> (Dtype, Vec<usize>, Vec<u8>) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        (Dtype::I32, vec![values.len()], bytes)
    }

    /// One sample `[1, 2]`, whose logits are equal.
    fn tensors() -> Tensors {
        [
            ("input", floats(&[1.0, 2.0], &[1, 1, 2, 1])),
            ("labels", labels(&[0])),
            ("param/dense/kernel", floats(&[1.0, 0.0, 0.0, 0.5], &[2, 2])),
            ("param/dense/bias", floats(&[0.0, 0.0], &[2])),
            ("logits", floats(&[1.0, 1.0], &[1, 2])),
            ("probabilities", floats(&[0.5, 0.5], &[1, 2])),
            ("loss", floats(&[2f32.ln()], &[1])),
            ("grad/dense/bias", floats(&[-0.5, 0.5], &[2])),
            (
                "grad/dense/kernel",
                floats(&[-0.5, 0.5, -1.0, 1.0], &[2, 2]),
            ),
            ("grad/input", floats(&[-0.5, 0.25], &[1, 1, 2, 1])),
            ("after/sgd/1/dense/bias", floats(&[0.005, -0.005], &[2])),
        ]
        .map(|(name, tensor)| (name.to_owned(), tensor))
        .into()
    }

    fn write(tensors: &Tensors) -> Vec<u8> {
        write_with(tensors, None)
    }

    /// With this text as what the metadata says of optimizers.
    fn write_with(tensors: &Tensors, optimizers: Option<&str>) -> Vec<u8> {
        let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
            (name.clone(), view)
        });
        let metadata = optimizers.map(|text| [("optimizers".into(), text.into())].into());
        safetensors::serialize(views, metadata).unwrap()
    }

    fn load_bytes(bytes: &[u8]) -> Result<Fixture> {
        let folder = tempfile::tempdir().unwrap();
        let (model, file) = (folder.path().join("m.toml"), folder.path().join("t"));
        std::fs::write(&model, MODEL).unwrap();
        std::fs::write(&file, bytes).unwrap();
        Fixture::load(&model, &file)
    }

    fn check(tensors: &Tensors) -> Vec<FixtureRow> {
        check_bytes(&write(tensors))
    }

    fn check_bytes(bytes: &[u8]) -> Vec<FixtureRow> {
        let fixture = load_bytes(bytes).unwrap();
        fixture
            .check(
                &|layout| Box::new(ReferenceExecutor::reference(layout)),
                1e-5,
            )
            .unwrap()
    }

    #[test]
    fn compares_every_expected_tensor() {
        let rows = check(&tensors());
        assert_eq!(rows.len(), 7);
        for row in rows {
            assert!(row.pass, "{row:?}");
        }
    }

    #[test]
    fn gradients_are_the_losss_whatever_optimizer_is_expected() {
        for clip in ["sgd_clipnorm", "sgd_global_clipnorm", "sgd_clipvalue"] {
            let mut tensors = tensors();
            tensors.remove("after/sgd/1/dense/bias");
            // Not compared here: only that it takes part.
            let after = floats(&[0.0, 0.0], &[2]);
            tensors.insert(format!("after/{clip}/1/dense/bias"), after);
            let rows = check(&tensors);
            assert_eq!(rows.len(), 7, "{clip}");
            for row in rows {
                let is_after = row.tensor.starts_with("after/");
                assert!(row.pass != is_after, "{clip}: {row:?}");
            }
        }
    }

    #[test]
    fn a_wrong_value_and_nan_fail() {
        for wrong in [f32::NAN, 0.51] {
            let mut tensors = tensors();
            tensors.insert("probabilities".into(), floats(&[0.5, wrong], &[1, 2]));
            let failed: Vec<_> = check(&tensors).into_iter().filter(|r| !r.pass).collect();
            assert_eq!(failed.len(), 1);
            assert_eq!(failed[0].tensor, "probabilities");
        }
        let mut tensors = tensors();
        tensors.insert("input".into(), floats(&[1.0, f32::NAN], &[1, 1, 2, 1]));
        assert!(check(&tensors).iter().any(|row| !row.pass));
    }

    #[test]
    fn the_worst_element_is_shown() {
        let mut tensors = tensors();
        let name = "grad/dense/kernel";
        tensors.insert(name.into(), floats(&[-0.5, 0.5, 1.0, 1.1], &[2, 2]));
        let rows = check(&tensors);
        let worst = &rows.iter().find(|row| row.tensor == name).unwrap().worst;
        assert_eq!((&worst.index[..], worst.expected), (&[1, 0][..], 1.0));
        assert!((worst.found + 1.0).abs() < 1e-6, "{worst:?}");
    }

    #[test]
    fn the_metadata_may_describe_optimizers() {
        // The gradient of the bias is -0.5 and 0.5.
        let described = "[mine]\nname = \"sgd\"\nlearning_rate = 0.1\nclipvalue = 0.1\n\
                         [averaged]\nname = \"sgd\"\nlearning_rate = 0.1\nema_momentum = 0.0\n";
        let mut tensors = tensors();
        for (name, bias) in [("mine/1", 0.01), ("averaged/1", 0.05)] {
            let name = format!("after/{name}/dense/bias");
            tensors.insert(name, floats(&[bias, -bias], &[2]));
        }
        let rows = check_bytes(&write_with(&tensors, Some(described)));
        for row in rows.iter().filter(|row| row.tensor.starts_with("after")) {
            assert!(row.pass, "{row:?}");
        }
        for (described, part) in [
            ("[mine]\nname = \"lion\"", "no optimizer `lion`"),
            (
                "[mine]\nname = \"sgd\"\nmomentum = 2.0",
                "`mine`: sgd: momentum 2",
            ),
            ("[other]\nname = \"sgd\"", "no optimizer `averaged`"),
        ] {
            let bytes = write_with(&tensors, Some(described));
            let message = load_bytes(&bytes).unwrap_err().to_string();
            assert!(!message.contains('\n'), "{message}");
            assert_says(message, part);
        }
    }

    /// The one line that is said of a fixture with this tensor put in, or taken out.
    fn message(name: &str, tensor: Option<(Dtype, Vec<usize>, Vec<u8>)>) -> String {
        let mut tensors = tensors();
        match tensor {
            Some(tensor) => tensors.insert(name.into(), tensor),
            None => tensors.remove(name),
        };
        let message = load_bytes(&write(&tensors)).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[track_caller]
    fn assert_says(message: String, part: &str) {
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn missing_tensors_are_named() {
        for name in ["input", "labels", "param/dense/kernel", "param/dense/bias"] {
            assert_says(message(name, None), &format!("`{name}` is missing"));
        }
    }

    #[test]
    fn wrong_types_and_shapes_are_named() {
        let one = || floats(&[1.0], &[1]);
        assert_says(message("input", Some(one())), "expected n x 1x2x1");
        assert_says(message("labels", Some(one())), "expected I32 of 1");
        assert_says(message("param/dense/bias", Some(one())), "F32 of 2");
        assert_says(message("logits", Some(one())), "F32 of 1x2");
        assert_says(message("loss", Some(labels(&[1]))), "is I32 of 1");
        let none = floats(&[], &[0, 1, 2, 1]);
        assert_says(message("input", Some(none)), "at least 1");
    }

    #[test]
    fn labels_outside_the_classes_are_refused() {
        assert_says(message("labels", Some(labels(&[2]))), "holds 2");
        assert_says(message("labels", Some(labels(&[-1]))), "holds -1");
    }

    #[test]
    fn unknown_names_are_refused() {
        let bias = || Some(floats(&[0.0, 0.0], &[2]));
        assert_says(message("gradient", bias()), "unknown tensor `gradient`");
        assert_says(message("after/adam", bias()), "unknown tensor");
        assert_says(message("param/dens/bias", bias()), "unknown tensor");
        assert_says(
            message("grad/dens/bias", bias()),
            "no parameter `dens/bias`",
        );
        assert_says(
            message("after/adam/1/dense/x", bias()),
            "no parameter `dense/x`",
        );
        assert_says(
            message("after/lion/1/dense/bias", bias()),
            "no optimizer `lion`",
        );
        assert_says(
            message("after/adam/0/dense/bias", bias()),
            "number of steps",
        );
        assert_says(
            message("after/adam/x/dense/bias", bias()),
            "number of steps",
        );
    }

    #[test]
    fn a_fixture_must_expect_something() {
        let mut tensors = tensors();
        tensors.retain(|name, _| ["input", "labels"].contains(&&**name) || name.starts_with('p'));
        tensors.remove("probabilities");
        let message = load_bytes(&write(&tensors)).unwrap_err().to_string();
        assert_says(message, "has no expected tensor");
    }

    #[test]
    fn broken_files_are_errors() {
        let whole = write(&tensors());
        for length in [0, 7, 8, 100, whole.len() - 1] {
            let message = load_bytes(&whole[..length]).unwrap_err().to_string();
            assert_says(message, "not a complete safetensors file");
        }
        let mut huge = whole;
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(load_bytes(&huge).is_err());
        assert!(Fixture::load(Path::new("nothing.toml"), Path::new("nothing")).is_err());
    }
}
