//! `model.py`.

use super::lines::{AVERAGE, LayerLines, lines};
use super::literals::{escaped, is_plain, list};
use super::torch_export::TorchExport;
use super::variables::{NEXT, variables};
use crate::error::{Error, Result};
use crate::interchange::torch::arrangement::TorchLayer;
use crate::interchange::{Network, NetworkDescription};
use crate::model::Activation;
use crate::model::Layer;

/// The function for averages over windows that extend past the image on one side.
const AVERAGE_POOL: &str = "
def average_pool2d(x, size, stride, padding):
    \"\"\"The mean of the cells of each window that lie inside the image.\"\"\"
    share = F.avg_pool2d(F.pad(x.new_ones(1, 1, *x.shape[2:]), padding), size, stride)
    return F.avg_pool2d(F.pad(x, padding), size, stride) / share

";

/// A layer, and what is written of it.
struct WrittenLayer<'a> {
    layer: &'a TorchLayer<'a>,
    lines: LayerLines,
    /// The variable that its line assigns.
    output: &'a str,
    /// Whether it has no line.
    is_idle: bool,
}

/// The text of `model.py`.
///
/// # Errors
/// A layer does not accept its input.
pub(super) fn module(network: &Network, layers: &[TorchLayer<'_>]) -> Result<String> {
    let lines = |layer: &TorchLayer<'_>, inputs: &[String]| {
        lines(layer, inputs).map_err(|e| Error::layer(&layer.resolved.name, e))
    };
    // A linear activation does nothing.
    let is_idle = layers.iter().map(|layer| {
        let next = vec![NEXT.to_owned(); layer.resolved.from.len()];
        Ok(lines(layer, &next)?.forward == NEXT)
    });
    let is_idle: Vec<bool> = is_idle.collect::<Result<_>>()?;
    let variables = variables(layers, &is_idle);
    let mut written = Vec::with_capacity(layers.len());
    for ((layer, own), is_idle) in layers.iter().zip(&variables.layers).zip(is_idle) {
        written.push(WrittenLayer {
            layer,
            lines: lines(layer, &own.inputs)?,
            output: &own.output,
            is_idle,
        });
    }
    let class = class(network, &written, &variables.input);
    let text = [
        header(network, layers),
        imports(&class),
        classes(network),
        helper(&class).into(),
        class,
        load(network, layers),
    ];
    Ok(text.concat())
}

fn header(network: &Network, layers: &[TorchLayer<'_>]) -> String {
    let [h, w, c] = network.model.input_shape;
    let version = env!("CARGO_PKG_VERSION");
    let output = layers.last().map(sizes).unwrap_or_default();
    let (preprocessing, weights) = (NetworkDescription::PREPROCESSING, TorchExport::WEIGHTS_FILE);
    let (meaning, hint) = match layers.last().and_then(last_activation) {
        Some(Activation::Softmax) => (
            ", probabilities",
            "To train it with nn.CrossEntropyLoss, leave out the softmax.\n",
        ),
        Some(Activation::Sigmoid) => (", probabilities", ""),
        _ => ("", ""),
    };
    format!(
        "\"\"\"{}, a network trained with cnn-gpu {version}.\n\n\
         Input: float32 [n, {c}, {h}, {w}], {preprocessing}.\n\
         Output: float32 {output}{meaning}.\n\
         Weights: {weights}, next to this file.\n{hint}\"\"\"\n\n",
        escaped(&network.model.name)
    )
}

/// The activation of a layer.
fn last_activation(layer: &TorchLayer<'_>) -> Option<Activation> {
    match layer.resolved.layer {
        Layer::Conv2D(l) => Some(l.activation),
        Layer::DepthwiseConv2D(l) => Some(l.activation),
        Layer::Dense(l) => Some(l.activation),
        Layer::Activation(l) => Some(l.activation),
        _ => None,
    }
}

/// Only what is used.
fn imports(class: &str) -> String {
    let functional = match class.contains("F.") || class.contains(AVERAGE) {
        true => "import torch.nn.functional as F\n",
        false => "",
    };
    format!(
        "from pathlib import Path\n\nimport torch\n{functional}\
         from safetensors.torch import load_file\nfrom torch import nn\n"
    )
}

fn classes(network: &Network) -> String {
    match network.class_names.as_slice() {
        [] => "\n".into(),
        names => format!("\n{}\n\n", list("CLASSES", names)),
    }
}

fn helper(class: &str) -> &'static str {
    match class.contains(AVERAGE) {
        true => AVERAGE_POOL,
        false => "\n",
    }
}

fn class(network: &Network, layers: &[WrittenLayer<'_>], input: &str) -> String {
    let mut text = String::from(
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n",
    );
    for WrittenLayer { layer, lines, .. } in layers {
        for (i, line) in lines.module.iter().enumerate() {
            let assigned = match i {
                0 => format!("self.{} = ", layer.attribute),
                _ => String::new(),
            };
            text.push_str(&format!("        {assigned}{line}\n"));
        }
    }
    text.push_str("\n    def forward(self, x):\n");
    if input != NEXT {
        let [h, w, c] = network.model.input_shape;
        text.push_str(&format!("        {input} = {NEXT}  # [n, {c}, {h}, {w}]\n"));
    }
    for written in layers.iter().filter(|written| !written.is_idle) {
        let (output, forward) = (written.output, &written.lines.forward);
        text.push_str(&format!(
            "        {output} = {forward}  # {}\n",
            comment(written)
        ));
    }
    let output = layers.last().map_or(input, |last| last.output);
    text.push_str(&format!("        return {output}\n\n\n"));
    text
}

/// The shape that a line of `forward` returns, and the layer's name unless the line shows it.
fn comment(written: &WrittenLayer<'_>) -> String {
    let layer = written.layer;
    let name = &layer.resolved.name;
    let has_module = !written.lines.module.is_empty() && *name == layer.attribute;
    if has_module || *name == written.output {
        return sizes(layer);
    }
    let plain = name.chars().map(|c| if is_plain(c) { c } else { '?' });
    format!("{} {}", plain.collect::<String>(), sizes(layer))
}

/// `[n, 10]`, or `[n, c, h, w]`.
fn sizes(layer: &TorchLayer<'_>) -> String {
    match layer.resolved.output.as_slice() {
        [h, w, c] => format!("[n, {c}, {h}, {w}]"),
        other => {
            let sizes = other.iter().map(|size| format!(", {size}"));
            format!("[n{}]", sizes.collect::<String>())
        }
    }
}

fn load(network: &Network, layers: &[TorchLayer<'_>]) -> String {
    let [h, w, c] = network.model.input_shape;
    let weights = TorchExport::WEIGHTS_FILE;
    let classes = network.class_names.len();
    let outputs = layers.last().map_or(&[][..], |last| &last.resolved.output);
    let print = match outputs == [classes] {
        true => "print(CLASSES[net(x).argmax()])",
        false => "print(net(x))",
    };
    format!(
        "def load(path=Path(__file__).with_name(\"{weights}\")):\n    \
             \"\"\"The network with these weights, in inference mode.\"\"\"\n    \
             net = Net()\n    \
             net.load_state_dict(load_file(path), strict=True)\n    \
             return net.eval()\n\n\n\
         if __name__ == \"__main__\":\n    \
             net = load()\n    \
             x = torch.rand(1, {c}, {h}, {w})  # instead of a picture\n    \
             with torch.inference_mode():\n        \
                 {print}\n"
    )
}
