//! Choosing a device: what was asked for, what there is, and why it was taken.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::cpu::CpuExecutor;
use super::gpu::{GpuDevice, GpuExecutor};
use super::{Executor, Inspect, Peak, Recovering, cpu};
use crate::error::{Error, Result};
use crate::state::Layout;

/// Where to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// A hardware GPU if there is one, else the CPU.
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
    /// Every backend, in the order in which they are listed.
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
#[cfg(test)]
pub(crate) fn test_backend() -> Backend {
    let name = std::env::var("CNN_GPU_TEST_BACKEND").unwrap_or_else(|_| "vulkan".into());
    name.parse()
        .unwrap_or_else(|e| panic!("CNN_GPU_TEST_BACKEND: {e}"))
}

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The interface.
    pub backend: Backend,
    /// An adapter's index in `devices`, or a part of its name.
    pub adapter: Option<String>,
}

/// A device that can run models, and why it was chosen.
pub struct Opened {
    device: Device,
    /// Why this device, in one sentence.
    pub reason: String,
}

enum Device {
    Cpu,
    Gpu(Arc<GpuDevice>),
}

/// How long a lost adapter is waited for, from try to try.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

impl Opened {
    /// An executor on this device for models with this layout.
    pub fn executor(&self, layout: Arc<Layout>) -> Box<dyn Inspect> {
        match &self.device {
            Device::Cpu => Box::new(CpuExecutor::new(cpu::Cpu::new(), layout)),
            Device::Gpu(device) => Box::new(GpuExecutor::new(Arc::clone(device), layout)),
        }
    }

    /// As [`Opened::executor`], but a GPU that is lost is opened again, and what it did since its state
    /// was last known is done again: see [`Recovering`]. `listener` hears of it first.
    pub fn recovering(
        &self,
        layout: Arc<Layout>,
        listener: impl FnMut(&str) + Send + 'static,
    ) -> Box<dyn Executor> {
        let executor = self.executor(Arc::clone(&layout));
        let Device::Gpu(device) = &self.device else {
            return executor;
        };
        let device = Arc::clone(device);
        let reopen = move || -> Result<Box<dyn Executor>> {
            // After a reset an adapter may be missing for a moment.
            let again = PAUSES.iter().find_map(|pause| {
                let again = device.reopen().ok();
                if again.is_none() {
                    std::thread::sleep(*pause);
                }
                again
            });
            let device = again.map_or_else(|| device.reopen(), Ok)?;
            let layout = Arc::clone(&layout);
            Ok(Box::new(GpuExecutor::new(Arc::new(device), layout)))
        };
        Box::new(Recovering::new(executor, reopen, listener))
    }

    /// Measures what the device can do at most, in about half a second.
    ///
    /// # Errors
    /// The device failed.
    pub fn peak(&self) -> Result<Peak> {
        match &self.device {
            Device::Cpu => cpu::Cpu::new().peak(),
            Device::Gpu(device) => device.peak(),
        }
    }

    /// The GPU, if it is one.
    pub fn gpu(&self) -> Option<&Arc<GpuDevice>> {
        match &self.device {
            Device::Cpu => None,
            Device::Gpu(device) => Some(device),
        }
    }
}

/// Opens the device that `selection` asks for. `auto` takes a hardware GPU if there is one, else
/// the CPU; a software adapter runs only when it is asked for by backend or by name.
///
/// # Errors
/// Nothing matches: the message lists what there is.
pub fn open(selection: &Selection) -> Result<Opened> {
    let cpu = |reason: String| Opened {
        device: Device::Cpu,
        reason,
    };
    match (selection.backend, &selection.adapter) {
        (Backend::Cpu, None) => Ok(cpu("asked for by --backend cpu".into())),
        (Backend::Cpu, Some(name)) => Err(Error::Argument(format!(
            "--adapter {name} cannot be combined with --backend cpu: the CPU is not an adapter"
        ))),
        (Backend::Auto, None) => match GpuDevice::best_hardware()? {
            Some(device) => Ok(Opened {
                reason: "a hardware GPU was found".into(),
                device: Device::Gpu(Arc::new(device)),
            }),
            None => Ok(cpu("no hardware GPU was found".into())),
        },
        (backend, adapter) => {
            let device = GpuDevice::find(backend, adapter.as_deref())?;
            Ok(Opened {
                reason: match adapter {
                    Some(name) => format!("asked for by --adapter {name}"),
                    None => format!("asked for by --backend {backend}"),
                },
                device: Device::Gpu(Arc::new(device)),
            })
        }
    }
}
