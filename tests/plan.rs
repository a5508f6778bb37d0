//! The plans of `mnist-cnn` as text. After an intended change, update the files with
//! `CNN_GPU_WRITE_GOLDEN=1 cargo test --test plan`, and review the difference.

use std::path::Path;

use cnn_gpu::model::preset;
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};

fn assert_golden(name: &str, purpose: Purpose) {
    let model = preset("mnist-cnn").expect("the preset exists");
    let plan = Plan::new(&model, purpose, 64).expect("the preset can be planned");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (path, text) = (folder.join(name), plan.to_string());
    if std::env::var_os("CNN_GPU_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("the golden text can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden.replace('\r', ""), "{name} differs");
}

#[test]
fn the_training_plan_equals_the_golden_text() {
    let purpose = Purpose::Training(Optimizer::adam());
    assert_golden("mnist_cnn_training.txt", purpose);
}

#[test]
fn the_inference_plan_equals_the_golden_text() {
    assert_golden("mnist_cnn_inference.txt", Purpose::Inference);
}
