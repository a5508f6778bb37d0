//! Gathers a batch from the data set.

use pulp::Arch;

/// `x = image / 255`.
pub(super) fn image(arch: Arch, image: &[u8], x: &mut [f32]) {
    arch.dispatch(|| {
        for (x, &byte) in x.iter_mut().zip(image) {
            *x = f32::from(byte) / 255.0;
        }
    });
}
