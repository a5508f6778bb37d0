//! The GPU backend that the tests run on.

use cnn_gpu::exec::Backend;

/// The backend that `CNN_GPU_TEST_BACKEND` names: Vulkan by default, Metal on macOS and DirectX 12
/// on Windows, where continuous integration sets it.
///
/// # Panics
/// The variable is not a backend's name, as testing on another backend would be misleading.
pub fn test_backend() -> Backend {
    let name = std::env::var("CNN_GPU_TEST_BACKEND").unwrap_or_else(|_| "vulkan".into());
    name.parse()
        .unwrap_or_else(|e| panic!("CNN_GPU_TEST_BACKEND: {e}"))
}
