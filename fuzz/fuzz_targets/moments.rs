#![no_main]

mod header;
#[path = "../../tests/hostile/memory.rs"]
mod memory;
#[path = "../../tests/hostile/targets.rs"]
mod targets;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| {
    let _ = targets::Target::named("moments").check(bytes);
});

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    header::mutate(data, size, most, seed)
});
