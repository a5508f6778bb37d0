//! Choosing a device: the request, the devices present, and the reason for the choice.

use std::sync::Arc;
#[cfg(feature = "gpu")]
use std::time::Duration;

#[cfg(feature = "gpu")]
use super::Recovering;
use super::cpu::CpuExecutor;
#[cfg(feature = "gpu")]
use super::gpu::{GpuDevice, GpuExecutor};
use super::host::Kernels as _;
use super::{Backend, Description, Executor, Inspect, KernelChoice, Peak, cpu};
use crate::error::{Error, Result};
use crate::state::Layout;

/// A request for a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// The API.
    pub backend: Backend,
    /// An adapter's index in the list of [`adapters`](crate::exec::gpu::adapters), or part of its
    /// name.
    pub adapter: Option<String>,
}

impl Selection {
    /// The first device of this backend.
    pub fn new(backend: Backend) -> Self {
        Self {
            backend,
            adapter: None,
        }
    }

    /// Chooses the adapter by its index in `cnn-gpu devices` or part of its name.
    pub fn adapter(mut self, adapter: impl Into<String>) -> Self {
        self.adapter = Some(adapter.into());
        self
    }
}

/// A device that can run models, and why it was chosen.
#[non_exhaustive]
pub struct Device {
    kind: DeviceKind,
    /// Why this device, in one sentence.
    pub reason: String,
}

/// The kind of device, with its handle.
enum DeviceKind {
    Cpu,
    #[cfg(feature = "gpu")]
    Gpu(Arc<GpuDevice>),
}

/// Pauses between attempts to open a lost adapter again.
#[cfg(feature = "gpu")]
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

impl Device {
    /// An executor on this device for models with this layout.
    pub fn executor(&self, layout: Arc<Layout>) -> Box<dyn Inspect> {
        match &self.kind {
            DeviceKind::Cpu => Box::new(CpuExecutor::new(cpu::Cpu::new(), layout)),
            #[cfg(feature = "gpu")]
            DeviceKind::Gpu(device) => Box::new(GpuExecutor::new(Arc::clone(device), layout)),
        }
    }

    /// Like [`Device::executor`], but reopens a GPU that is lost and repeats the steps since its
    /// state was last known: see [`Recovering`]. `listener` is called first, with the reason for
    /// the loss.
    pub fn recovering(
        &self,
        layout: Arc<Layout>,
        listener: impl FnMut(&str) + Send + 'static,
    ) -> Box<dyn Executor> {
        match &self.kind {
            DeviceKind::Cpu => {
                // The CPU cannot be lost.
                drop(listener);
                self.executor(layout)
            }
            #[cfg(feature = "gpu")]
            DeviceKind::Gpu(device) => recovering_gpu(device, layout, listener),
        }
    }

    /// Measures the device's peak rates, in about half a second.
    ///
    /// # Errors
    /// The device failed.
    pub fn peak(&self) -> Result<Peak> {
        match &self.kind {
            DeviceKind::Cpu => cpu::Cpu::new().peak(),
            #[cfg(feature = "gpu")]
            DeviceKind::Gpu(device) => device.peak(),
        }
    }

    /// The GPU, if the device is one.
    #[cfg(feature = "gpu")]
    pub fn gpu(&self) -> Option<&Arc<GpuDevice>> {
        match &self.kind {
            DeviceKind::Cpu => None,
            DeviceKind::Gpu(device) => Some(device),
        }
    }

    /// The same device with the kernels that [`tune`](crate::tune) chose for its adapter; the CPU has no others.
    ///
    /// # Errors
    /// A setting or its value does not exist.
    pub fn with_kernels(&self, choice: &KernelChoice) -> Result<Self> {
        let kind = match (&self.kind, choice) {
            (DeviceKind::Cpu, _) => DeviceKind::Cpu,
            #[cfg(feature = "gpu")]
            (DeviceKind::Gpu(device), choice) => {
                DeviceKind::Gpu(Arc::new(device.with_kernels(choice)?))
            }
        };
        Ok(Self {
            kind,
            reason: self.reason.clone(),
        })
    }

    /// In which settings its kernels differ from those of its class of adapters.
    pub fn kernels(&self) -> KernelChoice {
        match &self.kind {
            DeviceKind::Cpu => KernelChoice::default(),
            #[cfg(feature = "gpu")]
            DeviceKind::Gpu(device) => device.kernels(),
        }
    }

    /// A device that runs on this GPU.
    #[cfg(feature = "gpu")]
    pub(crate) fn of_gpu(device: GpuDevice, reason: &str) -> Self {
        Self {
            kind: DeviceKind::Gpu(Arc::new(device)),
            reason: reason.into(),
        }
    }

    /// Whether the device is a GPU.
    pub fn is_gpu(&self) -> bool {
        !matches!(self.kind, DeviceKind::Cpu)
    }

    /// Why the device's kernels take long to compile, if they do.
    pub fn slow_compiler(&self) -> Option<&'static str> {
        match &self.kind {
            DeviceKind::Cpu => None,
            #[cfg(feature = "gpu")]
            DeviceKind::Gpu(device) => device.slow_compiler(),
        }
    }

    /// Describes the device.
    pub fn describe(&self) -> Description {
        match &self.kind {
            DeviceKind::Cpu => cpu::Cpu::new().describe(),
            #[cfg(feature = "gpu")]
            DeviceKind::Gpu(device) => device.describe(),
        }
    }
}

/// An executor that reopens `device` when it is lost.
#[cfg(feature = "gpu")]
fn recovering_gpu(
    device: &Arc<GpuDevice>,
    layout: Arc<Layout>,
    listener: impl FnMut(&str) + Send + 'static,
) -> Box<dyn Executor> {
    let executor = Box::new(GpuExecutor::new(Arc::clone(device), Arc::clone(&layout)));
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

/// Opens the device that `selection` requests. `auto` picks a hardware GPU if there is one,
/// otherwise the CPU; a software adapter runs only if requested by backend or by name.
///
/// # Errors
/// No adapter matches; the message lists those present.
pub fn open(selection: &Selection) -> Result<Device> {
    let cpu = |reason: String| Device {
        kind: DeviceKind::Cpu,
        reason,
    };
    match (selection.backend, &selection.adapter) {
        (Backend::Cpu, None) => Ok(cpu("the CPU was requested".into())),
        (Backend::Cpu, Some(name)) => Err(Error::Argument(format!(
            "adapter `{name}` cannot be combined with backend `cpu`: the CPU is not an adapter"
        ))),
        (backend, adapter) => match open_gpu(backend, adapter.as_deref())? {
            Ok(opened) => Ok(opened),
            Err(reason) => Ok(cpu(reason.into())),
        },
    }
}

/// A GPU, or the reason why `auto` falls back to the CPU.
#[cfg(feature = "gpu")]
fn open_gpu(backend: Backend, adapter: Option<&str>) -> Result<Result<Device, &'static str>> {
    let (device, reason) = match (backend, adapter) {
        (Backend::Auto, None) => match GpuDevice::best_hardware()? {
            Some(device) => (device, "a hardware GPU was found".into()),
            None => return Ok(Err("no hardware GPU was found")),
        },
        (backend, Some(name)) => (
            GpuDevice::find(backend, adapter)?,
            format!("adapter `{name}` was requested"),
        ),
        (backend, None) => (
            GpuDevice::find(backend, adapter)?,
            format!("backend `{backend}` was requested"),
        ),
    };
    let kind = DeviceKind::Gpu(Arc::new(device));
    Ok(Ok(Device { kind, reason }))
}

/// Without GPUs, `auto` picks the CPU.
#[cfg(not(feature = "gpu"))]
fn open_gpu(backend: Backend, adapter: Option<&str>) -> Result<Result<Device, &'static str>> {
    match (backend, adapter) {
        (Backend::Auto, None) => Ok(Err(
            "this library was built without its cargo feature `gpu`",
        )),
        (backend, _) => Err(Error::NoAdapter(format!(
            "no adapter for backend `{backend}`: this library was built without its cargo feature \
             `gpu`; use the CPU"
        ))),
    }
}
