//! The nodes of activations.

use std::f32::consts::SQRT_2;

use super::attributes::{float, int};
use super::edge::Edge;
use super::graph::GraphWriter;
use crate::model::Activation;

/// The slope of [`Activation::LeakyRelu`] below zero; the operator's own is 0.01.
const LEAK: f32 = 0.2;

/// Adds the activation at the end of the layer that makes `x`, named `LAYER.relu`.
pub(super) fn fused(graph: &mut GraphWriter, x: Edge, activation: Activation) -> Edge {
    if activation == Activation::Linear {
        return x;
    }
    let name = graph.fresh(format!("{}.{}", x.name, activation.name()));
    write(graph, x, activation, name)
}

/// Adds an activation of `x` whose result has this name.
pub(super) fn write(
    graph: &mut GraphWriter,
    x: Edge,
    activation: Activation,
    name: String,
) -> Edge {
    let (operator, attributes) = match activation {
        Activation::Linear => return x,
        Activation::Gelu => return gelu(graph, &x, name),
        Activation::Silu => return silu(graph, &x, name),
        Activation::Relu => ("Relu", Vec::new()),
        Activation::LeakyRelu => ("LeakyRelu", vec![float("alpha", LEAK)]),
        Activation::Elu => ("Elu", Vec::new()),
        // The operator's defaults are Keras's constants.
        Activation::Selu => ("Selu", Vec::new()),
        Activation::Softplus => ("Softplus", Vec::new()),
        Activation::Sigmoid => ("Sigmoid", Vec::new()),
        Activation::Tanh => ("Tanh", Vec::new()),
        Activation::Softmax => ("Softmax", vec![int("axis", x.channel_axis())]),
    };
    graph.map(operator, (&x, Vec::new()), attributes, name)
}

/// `x (1 + erf(x / √2)) / 2`, in the order of operations in which PyTorch writes it and runtimes
/// recognize it. The operator `Gelu` needs opset 20.
fn gelu(graph: &mut GraphWriter, x: &Edge, name: String) -> Edge {
    let [root, one, half] = [("sqrt2", SQRT_2), ("one", 1.0), ("half", 0.5)]
        .map(|(what, value)| graph.number(value, format!("{name}.{what}")));
    let mut part = |operator, x: &Edge, others, what| {
        let name = graph.fresh(format!("{name}.{what}"));
        graph.map(operator, (x, others), Vec::new(), name)
    };
    let quotient = part("Div", x, vec![root], "quotient");
    let erf = part("Erf", &quotient, Vec::new(), "erf");
    let sum = part("Add", &erf, vec![one], "sum");
    let product = part("Mul", x, vec![sum.name], "product");
    graph.map("Mul", (&product, vec![half]), Vec::new(), name)
}

/// `x σ(x)`. There is no operator for it.
fn silu(graph: &mut GraphWriter, x: &Edge, name: String) -> Edge {
    let sigmoid = graph.fresh(format!("{name}.sigmoid"));
    let sigmoid = graph.map("Sigmoid", (x, Vec::new()), Vec::new(), sigmoid);
    graph.map("Mul", (x, vec![sigmoid.name]), Vec::new(), name)
}
