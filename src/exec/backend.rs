//! The APIs to run on.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::error::{Error, Result};

/// The API to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// A hardware GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// Vulkan: Linux, Windows, Android.
    Vulkan,
    /// Metal: macOS and iOS.
    Metal,
    /// DirectX 12: Windows.
    Dx12,
    /// OpenGL ES 3.1 and OpenGL 4.3 or later.
    Gl,
    /// The processor.
    Cpu,
}

impl Backend {
    /// Every backend, in the order of help texts.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Vulkan,
        Self::Metal,
        Self::Dx12,
        Self::Gl,
        Self::Cpu,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Dx12 => "dx12",
            Self::Gl => "gl",
            Self::Cpu => "cpu",
        }
    }
}

impl Display for Backend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|b| b.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Argument(format!("no backend `{name}`: expected one of {names}"))
        })
    }
}

/// The GPU backend that unit tests run on, as `tests/common/backend.rs` chooses it.
#[cfg(all(test, feature = "gpu"))]
pub(crate) fn test_backend() -> Backend {
    let name = std::env::var("CNN_GPU_TEST_BACKEND").unwrap_or_else(|_| "vulkan".into());
    name.parse()
        .unwrap_or_else(|e| panic!("CNN_GPU_TEST_BACKEND: {e}"))
}
