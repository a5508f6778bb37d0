#![no_main]

mod archive;
mod header;
#[path = "../../tests/hostile/memory.rs"]
mod memory;
#[path = "../../tests/hostile/targets.rs"]
mod targets;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| {
    let _ = targets::Target::named("torch").check(bytes);
});

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    match archive::is_archive(&data[..size]) {
        true => archive::mutate(data, size, most, seed),
        false => header::mutate(data, size, most, seed),
    }
});
