//! Mutates a safetensors file so that more than its first check is met: as text between its length
//! and its tensors, with the length and a checkpoint's digest put right again.

use cnn_gpu::run::checkpoint::digest_of;
use libfuzzer_sys::fuzzer_mutate;

const LENGTH: usize = 8;
/// What stands before a checkpoint's digest.
const DIGEST: &[u8] = b"\"sha256\":\"";

/// Puts something new into `data`, whose first `size` bytes are used; returns how many are then.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let size = match split(&data[..size]) {
        // Other damage is worth a try too.
        Some((header, tensors)) if !seed.is_multiple_of(8) => {
            let file = with_other_header(header, tensors);
            let size = file.len().min(most);
            data[..size].copy_from_slice(&file[..size]);
            size
        }
        _ => fuzzer_mutate(data, size, most),
    };
    seal(&mut data[..size]);
    size
}

fn split(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = file.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

fn with_other_header(header: &[u8], tensors: &[u8]) -> Vec<u8> {
    let mut other = header.to_vec();
    // Room to grow.
    other.resize(2 * header.len() + 64, 0);
    let most = other.len();
    let length = fuzzer_mutate(&mut other, header.len(), most);
    [
        &(length as u64).to_le_bytes()[..],
        &other[..length],
        tensors,
    ]
    .concat()
}

/// Writes the digest that a checkpoint of these contents must bear.
fn seal(file: &mut [u8]) {
    let Ok(digest) = digest_of(file) else { return };
    let found = file.windows(DIGEST.len()).position(|text| text == DIGEST);
    let place = found.and_then(|at| file.get_mut(at + DIGEST.len()..)?.get_mut(..digest.len()));
    if let Some(place) = place {
        place.copy_from_slice(digest.as_bytes());
    }
}
