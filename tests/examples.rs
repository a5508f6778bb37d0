//! Runs the examples, which check their own results.

#[path = "../examples/cifar10_airbench.rs"]
#[expect(dead_code, reason = "CIFAR-10 is not at hand")]
mod cifar10_airbench;
#[path = "../examples/early_stopping.rs"]
mod early_stopping;
#[cfg(feature = "interchange")]
#[path = "../examples/export_onnx.rs"]
mod export_onnx;
#[path = "../examples/image_folder.rs"]
mod image_folder;
#[cfg(feature = "interchange")]
#[path = "../examples/import_keras.rs"]
mod import_keras;
#[path = "../examples/mnist_lab.rs"]
#[expect(dead_code, reason = "its five epochs take too long for a test")]
mod mnist_lab;
#[path = "../examples/on_the_fly.rs"]
mod on_the_fly;
#[path = "../examples/transfer_learning.rs"]
mod transfer_learning;

#[test]
fn a_model_learns_data_generated_on_the_fly() {
    on_the_fly::main().unwrap_or_else(|error| panic!("{error}"));
}

#[cfg(feature = "interchange")]
#[test]
fn an_exported_network_is_read_again() {
    export_onnx::main().unwrap_or_else(|error| panic!("{error}"));
}

#[cfg(feature = "interchange")]
#[test]
fn an_imported_network_is_trained_further() {
    import_keras::main().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_model_learns_a_folder_of_colour_pictures() {
    image_folder::main().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn frozen_features_tell_other_pictures_apart() {
    transfer_learning::main().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn training_stops_early_and_restores_the_best_epoch() {
    early_stopping::main().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_lab_s_model_is_the_preset() {
    let preset = cnn_gpu::model::preset("mnist-cnn").expect("it is a preset");
    assert_eq!(mnist_lab::network().layers, preset.layers);
}

#[test]
fn the_airbench_network_has_the_paper_s_parameters() {
    let model = cifar10_airbench::network().expect("it is valid");
    let layers = model.resolve().expect("it is valid");
    let trained: usize = layers.iter().map(|layer| layer.trainable_count()).sum();
    assert_eq!(trained, 1_971_328);
}
