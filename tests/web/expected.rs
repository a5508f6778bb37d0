//! Writes what `tests/web.sh` opens in a browser and compares with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cnn_gpu::check::{cases, steps};
use cnn_gpu::data::{Dataset, digits};
use cnn_gpu::internal::kernel_texts;
use cnn_gpu::model::{PRESETS, preset};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};

use crate::networks::{all, test_digits, train_digits};
use crate::prepared;

fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::write(path, contents).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn write_digits(folder: &Path, name: &str, digits: &Dataset) {
    write(folder.join(format!("{name}.images")), digits.images());
    write(folder.join(format!("{name}.labels")), digits.labels());
}

/// The plans of `selfcheck` and of the presets.
fn plans() -> Vec<Plan> {
    let cases = cases::all().into_iter().map(|case| case.plan);
    let steps = steps::all().into_iter();
    let steps = steps.map(|step| Plan::new(&step.model, step.purpose, step.batch).unwrap());
    let presets = PRESETS.iter().flat_map(|name| {
        let optimizers = Optimizer::NAMES.iter();
        let training = optimizers.map(|name| Purpose::Training(Optimizer::by_name(name).unwrap()));
        let purposes = training.chain([Purpose::Inference, Purpose::Outputs]);
        let model = preset(name).unwrap();
        let plans = purposes.flat_map(move |purpose| {
            [1, 64].map(|batch| Plan::new(&model, purpose, batch).unwrap())
        });
        plans.collect::<Vec<_>>()
    });
    cases.chain(steps).chain(presets).collect()
}

/// All texts, with what browsers want and naga refuses.
fn texts() -> BTreeSet<String> {
    let plans = plans();
    let all = plans.iter().flat_map(kernel_texts);
    let all = all.map(|text| match text.contains("subgroupBroadcast") {
        true => format!("enable subgroups;\n{text}"),
        false => text,
    });
    all.collect()
}

#[test]
#[ignore = "writes files for a browser; tests/web.sh runs it"]
fn writes_what_a_browser_computes() {
    let folder = std::env::var("CNN_GPU_WEB_FOLDER").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|_| panic!("CNN_GPU_WEB_FOLDER: where to write files"));
    write_digits(&folder, "train", &train_digits());
    write_digits(&folder, "test", &test_digits());
    write_digits(&folder, "built-in", &digits::splits().test.take(100));
    write(
        folder.join("pictures.json"),
        prepared::pictures().to_string(),
    );
    for network in all() {
        let folder = folder.join(network.name);
        fs::create_dir_all(&folder).unwrap();
        let site = network.site();
        write(folder.join("single.html"), site.single().unwrap());
        for (name, contents) in cnn_gpu::web::WebSite::file_names().iter().zip(site.files()) {
            write(folder.join(name), contents);
        }
        let [logits, predictions] = network.predictions();
        for (name, values) in [
            ("logits", &logits),
            ("predictions", &predictions),
            ("trained", &network.trained()),
        ] {
            write(folder.join(name), bytemuck::cast_slice(values));
        }
        let scores = network.scores();
        write(folder.join("scores"), bytemuck::bytes_of(&scores));
    }
    let texts: Vec<String> = texts().into_iter().collect();
    assert!(texts.len() > 500, "{}", texts.len());
    write(
        folder.join("kernels.json"),
        serde_json::to_string(&texts).unwrap(),
    );
}
