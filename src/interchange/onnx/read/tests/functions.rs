//! Models with functions of their own.

use prost::Message;

use super::build::{Graph, anonymous, int, ints};
use crate::interchange::Import;
use crate::interchange::onnx::from_bytes;
use crate::interchange::onnx::messages::{
    AttributeProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto,
};
use crate::model::{Activation, ActivationLayer, Dense, Flatten, MaxPooling2D};

fn node(
    operator: &str,
    [input, output]: [&[&str]; 2],
    attribute: Vec<AttributeProto>,
    domain: &str,
) -> NodeProto {
    let named = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
    NodeProto {
        input: named(input),
        output: named(output),
        op_type: Some(operator.into()),
        attribute,
        domain: Some(domain.into()),
        ..NodeProto::default()
    }
}

fn function(name: &str, [input, output]: [&[&str]; 2], node: Vec<NodeProto>) -> FunctionProto {
    let named = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
    FunctionProto {
        name: Some(name.into()),
        domain: Some("lib".into()),
        input: named(input),
        output: named(output),
        node,
        ..FunctionProto::default()
    }
}

/// An attribute whose value is that of the call.
fn of_call(name: &str, wanted: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ref_attr_name: Some(wanted.into()),
        ..AttributeProto::default()
    }
}

/// `pool(x, size = [2, 2], stride)`, which calls `act(x)`.
fn functions() -> Vec<FunctionProto> {
    let pooled = vec![
        node("act", [&["x"], &["t"]], vec![], "lib"),
        node(
            "MaxPool",
            [&["t"], &["y"]],
            vec![
                of_call("kernel_shape", "size"),
                of_call("strides", "stride"),
                of_call("ceil_mode", "missing"),
            ],
            "",
        ),
    ];
    let mut pool = function("pool", [&["x"], &["y"]], pooled);
    pool.attribute_proto = vec![ints("size", &[2, 2])];
    let act = vec![node("Tanh", [&["x"], &["y"]], vec![], "")];
    vec![pool, function("act", [&["x"], &["y"]], act)]
}

fn model(functions: Vec<FunctionProto>) -> ModelProto {
    let mut graph = Graph::new(&[2, 4, 6]);
    for (call, input, stride) in [("first", "x", 2), ("second", "first", 1)] {
        graph = graph.node_with("pool", &[input], call, vec![ints("stride", &[stride; 2])]);
    }
    let mut graph = graph.node("Flatten", &["second"], "flat").dense("flat", 4);
    for call in &mut graph.0.node[..2] {
        call.domain = Some("lib".into());
    }
    ModelProto {
        graph: Some(graph.0),
        opset_import: vec![OperatorSetIdProto {
            domain: None,
            version: Some(18),
        }],
        functions,
        ..ModelProto::default()
    }
}

fn read(model: &ModelProto) -> Result<Import, String> {
    from_bytes(&model.encode_to_vec(), None).map_err(|e| e.to_string())
}

#[test]
fn calls_of_functions_are_read_as_what_they_do() {
    let import = read(&model(functions())).unwrap();
    let tanh = || ActivationLayer::new(Activation::Tanh).into();
    let expected = [
        tanh(),
        MaxPooling2D::new(2).into(),
        tanh(),
        MaxPooling2D::new(2).strides(1).into(),
        Flatten::new().into(),
        Dense::new(2).use_bias(false).into(),
    ];
    assert_eq!(anonymous(import.network.model), expected);
}

#[test]
fn nodes_of_functions_are_named_with_their_call() {
    let mut functions = functions();
    functions[0].node[1]
        .attribute
        .push(ints("dilations", &[2, 2]));
    let error = read(&model(functions)).unwrap_err();
    assert!(
        error.starts_with("node `first/MaxPool` (MaxPool): a pool with dilations"),
        "{error}"
    );
}

#[test]
fn functions_that_cannot_be_replaced_are_refused() {
    let refused = |change: fn(&mut Vec<FunctionProto>), message: &str| {
        let mut functions = functions();
        change(&mut functions);
        let error = read(&model(functions)).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    };
    refused(
        |functions| functions[0].node[0].op_type = Some("pool".into()),
        "node `first/pool/pool",
    );
    refused(
        |functions| {
            functions[1].opset_import = vec![OperatorSetIdProto {
                domain: None,
                version: Some(17),
            }];
        },
        "node `first/act` (act): a function of another opset",
    );
    refused(
        |functions| functions[1].output = vec!["x".into()],
        "node `first/act` (act): a function that returns one of its inputs",
    );
    refused(
        |functions| functions.truncate(1),
        "node `first/act` (act): an operator or function of `lib`",
    );
}

#[test]
fn functions_do_not_multiply_without_end() {
    // Each calls the next one ten times.
    let functions = (0..12).map(|i| {
        let next = format!("f{}", i + 1);
        let calls = (0..10).map(|j| {
            let output = format!("v{j}");
            node(&next, [&["x"], &[&output]], vec![int("i", j)], "lib")
        });
        let mut nodes: Vec<NodeProto> = calls.collect();
        nodes.push(node("Identity", [&["x"], &["y"]], vec![], ""));
        function(&format!("f{i}"), [&["x"], &["y"]], nodes)
    });
    let mut model = model(functions.collect());
    if let Some(graph) = &mut model.graph {
        graph.node[0].op_type = Some("f0".into());
    }
    let error = read(&model).unwrap_err();
    assert!(
        error.contains("functions that make the graph many times as large"),
        "{error}"
    );
}
