//! The web page's data, without a browser. `tests/web.sh` runs the ignored test and opens its files in
//! one.

#![cfg(all(feature = "gpu", feature = "pictures"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod expected;
mod networks;
mod prepared;
mod replay;

use networks::{BATCH, Exported, STEPS, all, mnist_cnn, test_digits, train_digits};
use replay::{Replay, StepValues, index, list};
use serde_json::Value;

/// The largest difference of two tensors, relative to the largest value of the second.
fn relative(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().all(|x| x.is_finite()));
    let most = theirs.iter().fold(f32::MIN_POSITIVE, |m, x| m.max(x.abs()));
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / most
}

fn plan(network: &Exported) -> Value {
    serde_json::from_str(&network.site().plan).unwrap()
}

fn programs(plan: &Value) -> impl Iterator<Item = &Value> {
    ["predict", "evaluate", "train"]
        .map(|name| &plan["programs"][name])
        .into_iter()
}

#[test]
fn bindings_lie_in_their_buffers_and_within_webgpu_s_default_limits() {
    let limits = wgpu::Limits::default();
    for network in all() {
        let plan = plan(&network);
        for buffer in list(&plan["buffers"]) {
            let bytes = index(&buffer["bytes"]);
            assert!(
                bytes.is_multiple_of(16) && bytes as u64 <= limits.max_storage_buffer_binding_size
            );
            let words = buffer["init"].as_array().map_or(0, Vec::len);
            assert!(4 * words <= bytes, "{buffer}");
        }
        for dispatch in programs(&plan).flat_map(|program| list(&program["dispatches"])) {
            let kernel = &plan["kernels"][index(&dispatch["kernel"])];
            let (bindings, writes) = (list(&dispatch["bindings"]), list(&kernel["writes"]));
            assert_eq!(bindings.len(), writes.len(), "{kernel}");
            assert!(writes.len() as u32 <= limits.max_storage_buffers_per_shader_stage);
            for binding in bindings {
                let bytes = index(&plan["buffers"][index(&binding["buffer"])]["bytes"]);
                let (offset, size) = (index(&binding["offset"]), index(&binding["size"]));
                assert!(
                    offset.is_multiple_of(256) && size > 0 && size.is_multiple_of(4),
                    "{dispatch}"
                );
                assert!(offset + size <= bytes, "{kernel} {dispatch}");
            }
            let grid: Vec<usize> = list(&dispatch["grid"]).iter().map(index).collect();
            assert!(grid.iter().all(|n| (1..=65_535).contains(n)), "{dispatch}");
        }
    }
}

/// WebGPU refuses a dispatch that does, and so would our own executor.
#[test]
fn no_dispatch_reads_and_writes_one_buffer_through_two_bindings() {
    for network in all() {
        let plan = plan(&network);
        for dispatch in programs(&plan).flat_map(|program| list(&program["dispatches"])) {
            let writes = list(&plan["kernels"][index(&dispatch["kernel"])]["writes"]);
            let bindings = list(&dispatch["bindings"]);
            for (a, written) in bindings.iter().zip(writes).filter(|(_, w)| **w == true) {
                let same = bindings.iter().zip(writes);
                let same = same.filter(|(b, w)| b["buffer"] == a["buffer"] && *w != written);
                assert_eq!(same.count(), 0, "{}: {dispatch}", network.name);
            }
        }
    }
}

#[test]
fn the_plan_describes_the_network() {
    for network in all() {
        let plan = plan(&network);
        let layers = network.model.resolve().unwrap();
        let listed = list(&plan["layers"]);
        assert_eq!(listed.len(), layers.len());
        for (i, (ours, layer)) in listed.iter().zip(&layers).enumerate() {
            assert_eq!(ours["name"], layer.name.as_str());
            assert_eq!(ours["kind"], layer.layer.spec().kind());
            let shape: Vec<usize> = serde_json::from_value(ours["output"].clone()).unwrap();
            assert_eq!(shape, layer.output);
            let buffer = index(&plan["programs"]["predict"]["layers"][i]);
            let buffer = &plan["buffers"][buffer];
            let stored: Vec<usize> = serde_json::from_value(buffer["shape"].clone()).unwrap();
            let sizes = [&stored, &shape].map(|s| s.iter().product::<usize>());
            assert_eq!(sizes[0], sizes[1], "{ours}");
        }
        let parameters = list(&plan["parameters"]);
        assert_eq!(parameters.len(), network.state.layout.parameters.len());
        assert_eq!(list(&plan["classes"]).len(), 10);
    }
}

#[test]
fn equal_networks_give_equal_files() {
    let sites = [mnist_cnn(), mnist_cnn()].map(|network| network.site());
    assert_eq!(sites[0].files(), sites[1].files());
    assert_eq!(sites[0].single().unwrap(), sites[1].single().unwrap());
}

#[test]
fn the_site_of_the_default_network_is_small() {
    let site = mnist_cnn().site();
    let bytes: usize = site.files().iter().map(Vec::len).sum();
    let single = site.single().unwrap().len();
    assert!(bytes < 600_000 && single < 600_000, "{bytes}, {single}");
}

#[test]
fn steps_by_webgpu_s_rules_and_limits_agree_with_the_cpu() {
    for network in all() {
        let site = network.site();
        let plan: Value = serde_json::from_str(&site.plan).unwrap();
        let mut replay = Replay::new(&site.plan, &network.state.params);
        let digits = test_digits();
        let [logits, predictions] = network.predictions();
        let program = &plan["programs"]["evaluate"];
        let rows = StepValues {
            rows: BATCH as u32,
            ..StepValues::default()
        };
        let images = &digits.images()[..BATCH * 784];
        replay.run("evaluate", (images, &digits.labels()[..BATCH]), rows);
        for (name, expected) in [("logits", logits), ("predictions", predictions)] {
            let found = replay.read(index(&program[name]));
            let error = relative(&found[..BATCH * 10], &expected[..BATCH * 10]);
            println!("{} {name}: {error:e}", network.name);
            assert!(error <= 1e-4, "{} {name}: {error:e}", network.name);
        }
        let digits = train_digits();
        for t in 0..STEPS {
            let (rates, key) = network.step_values(t as u64 + 1);
            let values = StepValues {
                rows: BATCH as u32,
                rates: [rates.rate, rates.decay, rates.keep],
                key: key.words(),
            };
            let images = &digits.images()[t * BATCH * 784..(t + 1) * BATCH * 784];
            let labels = &digits.labels()[t * BATCH..(t + 1) * BATCH];
            replay.run("train", (images, labels), values);
        }
        let (ours, theirs) = (replay.weights(), network.trained());
        // The comparison would notice steps that do nothing.
        let change = relative(&network.state.params, &theirs);
        assert!(change > 1e-3, "{}: {change:e}", network.name);
        for parameter in &network.state.layout.parameters {
            let error = relative(&ours[parameter.range()], &theirs[parameter.range()]);
            println!("{} {}: {error:e}", network.name, parameter.name);
            assert!(
                error <= 1e-4,
                "{} {}: {error:e}",
                network.name,
                parameter.name
            );
        }
    }
}
