//! Checks a plan before it reaches a device.

use std::collections::HashSet;

use super::{Plan, PlanPart, Role};
use crate::error::{Error, Result};

impl Plan {
    /// Checks that every operation has a layer, that every buffer is written before it is read,
    /// that every intermediate buffer is written once, and that only operations that work in place
    /// write what they read.
    ///
    /// # Errors
    /// The operation and the buffer at fault. This is a bug in a layer's lowering, not a mistake of
    /// its user.
    pub fn check(&self) -> Result<()> {
        if self.layers.len() != self.ops.len() {
            return Err(Error::device(format!(
                "plan `{}` is invalid: {} operations with {} layer names; please report this model",
                self.name,
                self.ops.len(),
                self.layers.len()
            )));
        }
        let mut written = HashSet::new();
        let fault = |op: usize, buffer: usize, what: &str| {
            Err(Error::device(format!(
                "plan `{}` is invalid: operation {op} ({}) {what} buffer `{}`; please report this model",
                self.name,
                self.ops[op].name(),
                self.buffers[buffer].name
            )))
        };
        for (i, op) in self.ops.iter().enumerate() {
            let reads = op.reads();
            for read in &reads {
                let is_given = match self.buffer(*read).role {
                    Role::Parameter(_) => true,
                    Role::Gradient(_) => self.part == PlanPart::Update,
                    Role::Input | Role::Intermediate => false,
                };
                if !is_given && !written.contains(read) {
                    return fault(i, read.0, "reads the unwritten");
                }
            }
            for write in op.writes() {
                let is_revised = matches!(self.buffer(write).role, Role::Parameter(_))
                    || (reads.contains(&write) && op.operation().works_in_place());
                if !is_revised && reads.contains(&write) {
                    return fault(i, write.0, "reads and writes");
                }
                if !is_revised && !written.insert(write) {
                    return fault(i, write.0, "overwrites the");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{
        Activation, Add, BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D, RandomFlip,
        RandomRotation, RandomZoom, Sequential, preset,
    };
    use crate::optimizer::Optimizer;
    use crate::plan::{Conv2dForward, Op, Plan, Purpose};

    const EXPECTED: [&str; 16] = [
        "gather ",
        "conv2d_forward conv",
        "activation_forward conv",
        "batch_norm_statistics norm",
        "batch_norm_forward norm",
        "pool2d_forward pool",
        "dense_forward dense",
        "softmax_cross_entropy dense",
        "dense_backward_weight dense",
        "dense_backward_input dense",
        "pool2d_backward pool",
        "batch_norm_backward_weight norm",
        "batch_norm_backward_input norm",
        "activation_backward norm",
        "conv2d_backward_weight conv",
        "adam_update ",
    ];

    fn plan() -> Plan {
        let model = preset("mnist-cnn").unwrap();
        Plan::new(&model, Purpose::Training(Optimizer::adam()), 4).unwrap()
    }

    #[test]
    fn each_operation_has_its_layer() {
        let model = Sequential::new([6, 6, 1])
            .add(Conv2D::new(2, 3).activation(Activation::Gelu).name("conv"))
            .add(BatchNormalization::new().name("norm"))
            .add(MaxPooling2D::new(2).name("pool"))
            .add(Flatten::new())
            .add(Dense::new(3).activation(Activation::Softmax).name("dense"));
        let optimizer = Optimizer::adam();
        let plan = Plan::new(&model, Purpose::Training(optimizer), 4).unwrap();
        let found = plan.layers.iter().zip(&plan.ops);
        let found: Vec<String> = found.map(|(l, op)| format!("{} {l}", op.name())).collect();
        assert_eq!(found, EXPECTED);
    }

    /// A sum has no backward pass of its own; the gradients of a value that two layers take are
    /// added, and the input's is not computed.
    #[test]
    fn a_residual_block_adds_its_gradients() {
        let conv = |name: &str| Conv2D::new(2, 1).activation(Activation::Relu).name(name);
        let model = Sequential::new([4, 4, 2])
            .add(conv("a"))
            .add(conv("b"))
            .add_from(["b", "a", "input"], Add::new().name("sum"))
            .add(Flatten::new())
            .add(Dense::new(3).activation(Activation::Softmax).name("dense"));
        let plan = Plan::new(&model, Purpose::Training(Optimizer::sgd()), 4).unwrap();
        let found = plan.layers.iter().zip(&plan.ops);
        let found = found.map(|(layer, op)| {
            let writes = op.writes();
            let y = &plan.buffer(writes[0]).name;
            format!("{} {layer}: {y}", op.name())
        });
        let found: Vec<String> = found
            .skip(1)
            .take_while(|op| !op.starts_with("sgd"))
            .collect();
        assert_eq!(
            found,
            [
                "conv2d_forward a: a",
                "conv2d_forward b: b",
                "add sum: sum first 2",
                "add sum: sum",
                "dense_forward dense: dense",
                "softmax_cross_entropy dense: predictions",
                "dense_backward_weight dense: d dense/kernel",
                "dense_backward_input dense: d sum",
                "activation_backward sum: d b",
                "activation_backward sum: d a from sum",
                "conv2d_backward_weight b: d b/kernel",
                "conv2d_backward_input b: d a from b",
                "add a: d a",
                "conv2d_backward_weight a: d a/kernel",
            ]
        );
    }

    /// Two random layers are one operation only if nothing else takes what is between them.
    #[test]
    fn a_layer_takes_augmented_images_as_they_are_in_between() {
        let movements = |names: [&str; 2]| {
            let model = Sequential::new([4, 4, 1])
                .add(RandomFlip::new().name("flip"))
                .add(RandomRotation::new(0.1).name("rotation"))
                .add(RandomZoom::new(0.1).name("zoom"))
                .add_from(names, Add::new())
                .add(Flatten::new())
                .add(Dense::new(3).activation(Activation::Softmax));
            let plan = Plan::new(&model, Purpose::Training(Optimizer::sgd()), 4).unwrap();
            let found = plan.ops.iter().filter_map(|op| match op {
                Op::DrawMaps(draw) => Some(draw.parts.len()),
                _ => None,
            });
            found.collect::<Vec<_>>()
        };
        assert_eq!(movements(["zoom", "input"]), [3]);
        assert_eq!(movements(["zoom", "rotation"]), [2, 1]);
        assert_eq!(movements(["zoom", "flip"]), [1, 2]);
    }

    #[test]
    fn a_value_that_a_sum_takes_twice_counts_once_and_its_gradients_have_names_of_their_own() {
        let model = Sequential::new([2, 2, 1])
            .add(Conv2D::new(2, 1).activation(Activation::Relu).name("a"))
            .add_from(["a", "a"], Add::new().name("sum"))
            .add(Flatten::new())
            .add(Dense::new(3).activation(Activation::Softmax));
        let plan = Plan::new(&model, Purpose::Training(Optimizer::sgd()), 4).unwrap();
        let names: Vec<&str> = plan.buffers.iter().map(|b| b.name.as_str()).collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        assert!(names.contains(&"d a from sum") && names.contains(&"d a from sum 2"));
        let sum = plan.ops.iter().find(|op| matches!(op, Op::Add(_))).unwrap();
        let size = 4 * 4 * 2 * 2 * 2;
        assert_eq!(plan.bytes(sum), 2 * size);
    }

    #[test]
    fn a_layer_that_nothing_takes_is_refused() {
        let model = Sequential::new([4, 4, 1])
            .add(Flatten::new().name("flat"))
            .add(Dense::new(2).name("unused"))
            .add_from("flat", Dense::new(3).activation(Activation::Softmax));
        let plan = |purpose| Plan::new(&model, purpose, 2);
        let message = plan(Purpose::Inference).unwrap_err().to_string();
        assert!(
            message.starts_with("layer `unused`: no layer takes its output"),
            "{message}"
        );
        assert_eq!(plan(Purpose::Outputs).unwrap().layer_outputs.len(), 3);
    }

    #[test]
    fn finds_a_read_of_an_unwritten_buffer() {
        let mut plan = plan();
        plan.ops.remove(1);
        plan.layers.remove(1);
        let message = plan.check().unwrap_err().to_string();
        assert!(
            message.contains("reads the unwritten buffer `conv2d`"),
            "{message}"
        );
    }

    #[test]
    fn finds_an_operation_that_writes_what_it_reads() {
        let mut plan = plan();
        let Op::Conv2dForward(Conv2dForward { x, y, .. }) = &mut plan.ops[1] else {
            panic!("the second operation is a convolution")
        };
        *y = *x;
        let message = plan.check().unwrap_err().to_string();
        assert!(
            message.contains("reads and writes buffer `input`"),
            "{message}"
        );
    }
}
