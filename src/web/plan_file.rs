//! `plan.json`, described in `docs/web.md`.

use serde::Serialize;

use super::options::SiteOptions;
use super::program::PageProgram;
use super::tables::Tables;
use crate::error::{Error, Result};
use crate::exec::gpu::step_fields;
use crate::model::{Initializer, Layer, Sequential};
use crate::optimizer::Optimizer;
use crate::plan::{Plan, Purpose};
use crate::rng::Key;
use crate::state::Layout;

/// The version of the format.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Serialize)]
pub struct PlanFile {
    version: u32,
    generator: String,
    name: String,
    /// The seed's two words, the lower one first.
    seed: [u32; 2],
    input: PageInput,
    classes: Vec<String>,
    loss: &'static str,
    layers: Vec<PageLayer>,
    parameters: Vec<PageParameter>,
    optimizer: Optimizer,
    step: StepLayout,
    #[serde(flatten)]
    tables: Tables,
    programs: PagePrograms,
    /// Why a program is missing, one line each.
    pub left_out: Vec<String>,
}

#[derive(Serialize)]
struct PageInput {
    shape: [usize; 3],
    prepare: &'static str,
    interpolation: &'static str,
}

#[derive(Serialize)]
struct PageLayer {
    name: String,
    kind: &'static str,
    input: Vec<usize>,
    output: Vec<usize>,
    /// The indices of the layers whose outputs it takes, `null` for the image; missing if it takes
    /// that of the layer before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Vec<Option<usize>>>,
    settings: Layer,
    parameters: Vec<String>,
}

#[derive(Serialize)]
struct PageParameter {
    name: String,
    shape: Vec<usize>,
    offset: usize,
    trainable: bool,
    initializer: Initializer,
}

/// The values that change from step to step.
#[derive(Serialize)]
struct StepLayout {
    bytes: usize,
    fields: Vec<StepField>,
}

#[derive(Serialize)]
struct StepField {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    at: usize,
}

#[derive(Serialize)]
struct PagePrograms {
    predict: PageProgram,
    evaluate: Option<PageProgram>,
    train: Option<PageProgram>,
}

impl PlanFile {
    /// Records the plans of a model.
    ///
    /// # Errors
    /// As [`Plan::new`], except for a last layer that suits no loss; a tensor or a grid that WebGPU
    /// does not guarantee.
    pub fn new(model: &Sequential, layout: &Layout, options: &SiteOptions) -> Result<Self> {
        let mut tables = Tables::default();
        let (programs, left_out) = PagePrograms::new(model, options, &mut tables)?;
        Ok(Self {
            version: VERSION,
            generator: format!("cnn-gpu {}", env!("CARGO_PKG_VERSION")),
            name: model.name.clone(),
            seed: Key::new(options.training.seed).words(),
            input: PageInput {
                shape: model.input_shape,
                prepare: if options.digits { "mnist" } else { "resize" },
                interpolation: options.interpolation.name(),
            },
            classes: class_names(model, options)?,
            loss: model.loss.name(),
            layers: layers(model)?,
            parameters: parameters(layout),
            optimizer: options.training.optimizer,
            step: StepLayout::new(),
            tables,
            programs,
            left_out,
        })
    }
}

impl PagePrograms {
    fn new(
        model: &Sequential,
        options: &SiteOptions,
        tables: &mut Tables,
    ) -> Result<(Self, Vec<String>)> {
        let training = &options.training;
        let outputs = Plan::new(model, Purpose::Outputs, 1)?;
        let predict = PageProgram::new("predict", &outputs, tables)?;
        let mut made = Self {
            predict,
            evaluate: None,
            train: None,
        };
        // Only here the last layer must suit the loss.
        if let Err(error) = Plan::new(model, Purpose::Inference, 1) {
            return Ok((made, vec![format!("training and evaluation: {error}")]));
        }
        let inference = Plan::new(model, Purpose::Inference, training.batch_size)?;
        made.evaluate = Some(PageProgram::new("evaluate", &inference, tables)?);
        let mut plan = Plan::new(model, training.purpose()?, training.batch_size)?;
        if let Some(weights) = training.class_weights(plan.classes)? {
            plan.weigh_classes(&weights)?;
        }
        made.train = Some(PageProgram::new("train", &plan, tables)?);
        Ok((made, Vec::new()))
    }
}

/// The classes' names, or their numbers if they have none.
fn class_names(model: &Sequential, options: &SiteOptions) -> Result<Vec<String>> {
    let width: usize = model.output_shape()?.iter().product();
    let classes = model.loss.classes(width);
    let names = &options.class_names;
    if names.is_empty() {
        return Ok((0..classes).map(|class| class.to_string()).collect());
    }
    if names.len() != classes {
        return Err(Error::Argument(format!(
            "expected {classes} class names, one per class, received {}",
            names.len()
        )));
    }
    Ok(names.clone())
}

fn layers(model: &Sequential) -> Result<Vec<PageLayer>> {
    let resolved = model.resolve()?.into_iter().enumerate();
    let described = resolved.map(|(index, layer)| PageLayer {
        kind: layer.layer.spec().kind(),
        settings: layer.layer.clone(),
        parameters: (layer.parameters().iter())
            .map(|parameter| format!("{}/{}", layer.name, parameter.name))
            .collect(),
        from: (!layer.follows(index)).then(|| layer.from.clone()),
        input: layer.input,
        output: layer.output,
        name: layer.name,
    });
    Ok(described.collect())
}

fn parameters(layout: &Layout) -> Vec<PageParameter> {
    let described = layout.parameters.iter().map(|parameter| PageParameter {
        name: parameter.name.clone(),
        shape: parameter.shape.clone(),
        offset: parameter.offset,
        trainable: parameter.trainable,
        initializer: parameter.initializer,
    });
    described.collect()
}

impl StepLayout {
    fn new() -> Self {
        let (bytes, fields) = step_fields();
        let fields = fields.map(|(name, kind, at)| StepField { name, kind, at });
        Self {
            bytes,
            fields: fields.into(),
        }
    }
}
