//! The command line of `cnn-gpu`.
fn main() {
    println!(
        "{}",
        cnn_gpu::model::preset("mnist-cnn")
            .map(|m| m.summary().unwrap_or_default())
            .unwrap_or_default()
    );
    let m = cnn_gpu::model::preset("mnist-cnn").unwrap();
    println!(
        "{}",
        cnn_gpu::plan::Plan::new(&m, cnn_gpu::plan::Purpose::Training(Default::default()), 64)
            .unwrap()
    );
}
