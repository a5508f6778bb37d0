//! SHA-256 in hexadecimal.

use sha2::{Digest as _, Sha256};

/// The hash of bytes.
pub fn of(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
