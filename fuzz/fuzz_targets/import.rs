#![no_main]

#[path = "../../tests/hostile/memory.rs"]
mod memory;
#[path = "../../tests/hostile/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = targets::Target::named("import").check(bytes);
});
