//! Mutates safetensors files so that they pass the first checks: mutates the header as text, and
//! then corrects the length and the digest of a checkpoint.

use cnn_gpu::run::checkpoint::digest_of;
use libfuzzer_sys::fuzzer_mutate;

const LENGTH: usize = 8;
/// The text before a checkpoint's digest.
const DIGEST: &[u8] = b"\"sha256\":\"";

/// Mutates `data`, whose first `size` bytes are used. Returns the new size.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let size = match split(&data[..size]) {
        // The rest gets ordinary mutations.
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

/// Writes the digest of a checkpoint with these contents.
fn seal(file: &mut [u8]) {
    let Ok(digest) = digest_of(file) else { return };
    let found = file.windows(DIGEST.len()).position(|text| text == DIGEST);
    let place = found.and_then(|at| file.get_mut(at + DIGEST.len()..)?.get_mut(..digest.len()));
    if let Some(place) = place {
        place.copy_from_slice(digest.as_bytes());
    }
}
