#![no_main]

mod archive;
#[path = "../../tests/hostile/memory.rs"]
mod memory;
#[path = "../../tests/hostile/targets.rs"]
mod targets;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| {
    let _ = targets::Target::named("keras").check(bytes);
});

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    if archive::is_archive(&data[..size]) {
        return archive::mutate(data, size, most, seed);
    }
    libfuzzer_sys::fuzzer_mutate(data, size, most)
});
