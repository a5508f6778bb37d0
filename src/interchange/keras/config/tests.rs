use serde_json::json;

use super::*;

fn functional(nodes: &[(&str, &str, Value)], outputs: Value) -> Value {
    let layers = nodes.iter().map(|(class, name, inbound)| {
        json!({
            "class_name": class,
            "config": {"name": name, "batch_shape": [null, 4, 5, 2]},
            "inbound_nodes": inbound,
        })
    });
    let layers: Vec<Value> = layers.collect();
    json!({"class_name": "Functional", "config": {"layers": layers, "output_layers": outputs}})
}

fn from(name: &str) -> Value {
    let history = json!({"config": {"shape": [null, 4], "keras_history": [name, 0, 0]}});
    json!([{"args": [history], "kwargs": {"training": false}}])
}

fn names(model: &Value) -> Result<Vec<String>, String> {
    let graph = graph(model).map_err(|e| e.to_string())?;
    Ok(graph.layers.into_iter().map(|layer| layer.name).collect())
}

#[test]
fn a_functional_model_is_put_in_order() {
    let keras_2 = json!([[["b", 0, 0, {}]]]);
    let model = functional(
        &[
            ("Dense", "c", keras_2),
            ("Flatten", "b", from("a")),
            ("InputLayer", "a", json!([])),
        ],
        json!([["c", 0, 0]]),
    );
    assert_eq!(names(&model).unwrap(), ["b", "c"]);
    assert_eq!(graph(&model).unwrap().input, [4, 5, 2]);
}

#[test]
fn layers_of_models_in_a_model_take_their_place() {
    let layer = |class: &str, config| json!({"class_name": class, "config": config});
    let conv = || layer("Conv2D", json!({"name": "conv"}));
    let features = |name: &str| {
        let listed = [layer("InputLayer", json!({"name": "in"})), conv(), conv()];
        layer("Sequential", json!({"name": name, "layers": listed}))
    };
    let input = layer("InputLayer", json!({"batch_shape": [null, 4, 5, 2]}));
    let listed = [input, conv(), features("a"), features("b")];
    let model = layer("Sequential", json!({ "layers": listed }));
    let graph = graph(&model).unwrap();
    let found = graph.layers.iter();
    let found: Vec<_> = found.map(|l| (l.name.as_str(), l.group.as_str())).collect();
    let expected = [
        ("conv", "conv2d"),
        ("a_conv", "sequential/layers/conv2d"),
        ("a_conv_1", "sequential/layers/conv2d_1"),
        ("b_conv", "sequential_1/layers/conv2d"),
        ("b_conv_1", "sequential_1/layers/conv2d_1"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn layers_of_a_model_in_the_model_give_way_to_later_ones() {
    let layer = |class: &str, config| json!({"class_name": class, "config": config});
    let named = |name: &str| layer("Conv2D", json!({ "name": name }));
    let model = |name: &str, listed: Vec<Value>| {
        layer("Sequential", json!({"name": name, "layers": listed}))
    };
    let inner = model("b", vec![named("conv"), named("other")]);
    let input = layer(
        "InputLayer",
        json!({"name": "conv", "batch_shape": [null, 4, 5, 2]}),
    );
    let listed = vec![
        input,
        model("a", vec![inner]),
        named("conv"),
        named("a_b_conv"),
    ];
    let found = names(&model("outer", listed)).unwrap();
    assert_eq!(found, ["a_b_conv_1", "other", "conv", "a_b_conv"]);
}

#[test]
fn names_of_models_that_would_be_too_long_are_refused() {
    let conv = json!({"class_name": "Conv2D", "config": {"name": "conv"}});
    let inner = json!({"name": "a".repeat(300), "layers": [conv, conv]});
    let inner = json!({"class_name": "Sequential", "config": inner});
    let input = json!({"class_name": "InputLayer", "config": {"batch_shape": [null, 4, 5, 2]}});
    let config = json!({"layers": [input, inner]});
    let message = names(&json!({"class_name": "Sequential", "config": config})).unwrap_err();
    assert!(
        message.ends_with("has 305 bytes; expected at most 255"),
        "{message}"
    );
}

/// The names and sources of a model's layers.
fn joined(model: &Value) -> Vec<(String, Vec<Option<usize>>)> {
    let layers = graph(model).unwrap().layers.into_iter();
    layers.map(|layer| (layer.name, layer.from)).collect()
}

#[test]
fn layers_that_branch_and_join_come_behind_what_they_take() {
    let both = json!([{"args": [[["b", 0, 0], ["c", 0, 0], ["a", 0, 0]]], "kwargs": {}}]);
    let model = functional(
        &[
            ("Add", "d", both),
            ("Dense", "c", from("a")),
            ("InputLayer", "a", json!([])),
            ("Dense", "b", from("a")),
        ],
        json!([["d", 0, 0]]),
    );
    let expected = [
        ("c".to_owned(), vec![None]),
        ("b".into(), vec![None]),
        ("d".into(), vec![Some(1), Some(0), None]),
    ];
    assert_eq!(joined(&model), expected);
}

#[test]
fn a_model_in_the_model_may_branch_and_take_any_output() {
    let both = json!([{"args": [[["b", 0, 0], ["in", 0, 0]]], "kwargs": {}}]);
    let mut inner = functional(
        &[
            ("InputLayer", "in", json!([])),
            ("Dense", "b", from("in")),
            ("Add", "sum", both),
        ],
        json!(["sum", 0, 0]),
    );
    inner["config"]["name"] = "inner".into();
    inner["inbound_nodes"] = from("a");
    let both = json!([{"args": [[["first", 0, 0], ["inner", 0, 0]]], "kwargs": {}}]);
    let mut model = functional(
        &[
            ("InputLayer", "x", json!([])),
            ("Dense", "first", from("x")),
            ("Dense", "a", from("x")),
            ("Add", "all", both),
        ],
        json!(["all", 0, 0]),
    );
    model["config"]["layers"]
        .as_array_mut()
        .unwrap()
        .insert(3, inner);
    let expected = [
        ("first".to_owned(), vec![None]),
        ("a".into(), vec![None]),
        ("b".into(), vec![Some(1)]),
        ("sum".into(), vec![Some(2), Some(1)]),
        ("all".into(), vec![Some(0), Some(3)]),
    ];
    assert_eq!(joined(&model), expected);
}

#[test]
fn models_with_other_inputs_or_outputs_are_refused_by_the_name_of_a_layer() {
    let input = ("InputLayer", "a", json!([]));
    let dense = |name, inbound| ("Dense", name, inbound);
    let chain = |last| vec![input.clone(), dense("b", from("a")), dense("c", last)];
    let output = json!(["c", 0, 0]);
    for (nodes, output, part) in [
        (
            [chain(from("a")), vec![dense("d", from("c"))]].concat(),
            json!(["d", 0, 0]),
            "layer `b` (Dense): its output is not used",
        ),
        (
            [chain(from("b")), vec![dense("d", from("c"))]].concat(),
            output.clone(),
            "layer `c` (Dense): it makes the model's output, but other layers take it too",
        ),
        (
            chain(json!([["a", 0, 0], ["a", 0, 0]])),
            output.clone(),
            "layer `c` (Dense): it is used several times",
        ),
        (
            vec![input.clone(), dense("b", json!([]))],
            output.clone(),
            "layer `b` (Dense): it has no input",
        ),
        (
            chain(from("d")),
            output.clone(),
            "layer `c` (Dense): it takes the output of `d`, which the model lacks",
        ),
        (
            vec![input.clone(), ("InputLayer", "b", json!([]))],
            output.clone(),
            "has 2 inputs",
        ),
        (
            [
                chain(from("b")),
                vec![dense("d", from("e")), dense("e", from("d"))],
            ]
            .concat(),
            output.clone(),
            "in a circle",
        ),
        (chain(from("b")), json!([]), "has 0 outputs"),
        (
            chain(from("b")),
            json!([["b", 0, 0], ["c", 0, 0]]),
            "has 2 outputs (b, c): expected one",
        ),
    ] {
        let message = names(&functional(&nodes, output)).unwrap_err();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn unknown_inputs_and_models_are_refused() {
    let sequential = |layers| json!({"class_name": "Sequential", "config": {"layers": layers}});
    let unknown = json!([{"class_name": "InputLayer", "config": {"batch_shape": [null, null, 2]}}]);
    for (model, part) in [
        (sequential(json!([])), "does not say the shape"),
        (sequential(unknown), "[null,null,2]"),
        (sequential(json!([3])), "class_name"),
        (json!({"class_name": "Sequential"}), "no layers"),
        (
            json!({"class_name": "Mine", "config": {"layers": []}}),
            "class Mine",
        ),
    ] {
        let message = names(&model).unwrap_err();
        assert!(message.contains(part), "{message}");
    }
}
