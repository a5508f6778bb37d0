//! Builds models.

use prost::Message;

use crate::interchange::Import;
use crate::interchange::onnx::from_bytes;
use crate::interchange::onnx::messages::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use crate::model::{Layer, Sequential};

/// A graph whose input is `x`, of a batch of any size.
#[derive(Clone)]
pub struct Graph(pub GraphProto);

impl Graph {
    /// A graph with this input: the sizes of axes behind the batch.
    pub fn new(input: &[i64]) -> Self {
        let sizes = input.iter().map(|&size| DimensionProto {
            dim_value: Some(size),
            dim_param: None,
        });
        let batch = DimensionProto {
            dim_value: None,
            dim_param: Some("n".into()),
        };
        let dims: Vec<DimensionProto> = std::iter::once(batch).chain(sizes).collect();
        Self(GraphProto {
            input: vec![value("x", dims)],
            ..GraphProto::default()
        })
    }

    /// Adds a tensor of these numbers.
    pub fn numbers(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        self.0.initializer.push(numbers(name, dims, values));
        self
    }

    /// Adds a tensor of numbers from -1 to 1, none of them 0.
    pub fn weights(self, name: &str, dims: &[i64]) -> Self {
        let n = dims.iter().product::<i64>();
        let values: Vec<f32> = (0..n)
            .map(|i| ((i * 7 + 3) % 11) as f32 / 5.5 - 0.95)
            .collect();
        self.numbers(name, dims, &values)
    }

    /// Adds a vector of integers.
    pub fn integers(mut self, name: &str, values: &[i64]) -> Self {
        self.0.initializer.push(integers(name, values));
        self
    }

    /// Adds a node that makes a value of its own name.
    pub fn node(self, operator: &str, inputs: &[&str], output: &str) -> Self {
        self.node_with(operator, inputs, output, Vec::new())
    }

    /// As [`Self::node`], with attributes.
    pub fn node_with(
        mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) -> Self {
        self.0.node.push(NodeProto {
            input: inputs.iter().map(|&name| name.into()).collect(),
            output: vec![output.into()],
            name: Some(output.into()),
            op_type: Some(operator.into()),
            attribute,
            ..NodeProto::default()
        });
        self
    }

    /// Adds a dense layer of 2 units behind a value, and makes it the output.
    pub fn dense(self, input: &str, features: i64) -> Self {
        self.weights("head.weight", &[features, 2])
            .node("MatMul", &[input, "head.weight"], "head")
            .output("head")
    }

    /// Makes a value an output.
    pub fn output(mut self, name: &str) -> Self {
        self.0.output.push(value(name, Vec::new()));
        self
    }

    /// The model's bytes, with operators of this version.
    pub fn bytes(&self, opset: i64, metadata: &[(&str, &str)]) -> Vec<u8> {
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: Some((*key).into()),
            value: Some((*value).into()),
        };
        let model = ModelProto {
            ir_version: Some(8),
            graph: Some(self.0.clone()),
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: Some(opset),
            }],
            metadata_props: metadata.iter().map(entry).collect(),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    /// What is read.
    #[track_caller]
    pub fn import(&self) -> Import {
        from_bytes(&self.bytes(18, &[]), None).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The layers that are read, without their names.
    #[track_caller]
    pub fn layers(&self) -> Vec<Layer> {
        anonymous(self.import().network.model)
    }

    /// The error, which is one line.
    #[track_caller]
    pub fn error(&self) -> String {
        self.error_of(18)
    }

    /// As [`Self::error`], with operators of this version.
    #[track_caller]
    pub fn error_of(&self, opset: i64) -> String {
        let read = from_bytes(&self.bytes(opset, &[]), None);
        let message = read.map(|import| import.network.model.to_toml());
        let message = message.expect_err("was read").to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }
}

/// The layers without their names.
pub fn anonymous(model: Sequential) -> Vec<Layer> {
    let mut text: toml::Table = toml::from_str(&model.to_toml()).unwrap();
    let layers = text.get_mut("layers").and_then(toml::Value::as_array_mut);
    for layer in layers.into_iter().flatten() {
        layer.as_table_mut().unwrap().remove("name");
    }
    let model: Sequential = toml::from_str(&toml::to_string(&text).unwrap()).unwrap();
    let layers = model.layers.into_iter().map(|placed| placed.layer);
    layers.collect()
}

/// The values of a parameter.
#[track_caller]
pub fn parameter(import: &Import, name: &str) -> Vec<f32> {
    import.network.state.parameter(name).unwrap().to_vec()
}

pub fn numbers(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(1),
        name: Some(name.into()),
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

pub fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: Some(7),
        name: Some(name.into()),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

pub fn value(name: &str, dims: Vec<DimensionProto>) -> ValueInfoProto {
    let tensor = TensorTypeProto {
        elem_type: Some(1),
        shape: Some(TensorShapeProto { dim: dims }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor),
        }),
    }
}

fn named(name: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ..AttributeProto::default()
    }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i: Some(i),
        ..named(name)
    }
}

pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: ints.to_vec(),
        ..named(name)
    }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f: Some(f),
        ..named(name)
    }
}

pub fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        s: Some(s.into()),
        ..named(name)
    }
}

pub fn tensor(name: &str, t: TensorProto) -> AttributeProto {
    AttributeProto {
        t: Some(t),
        ..named(name)
    }
}
