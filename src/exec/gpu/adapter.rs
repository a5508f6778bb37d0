//! Adapters: listing them and choosing one.

use std::fmt::{self, Display, Formatter};
use std::sync::OnceLock;

use serde::Serialize;
use wgpu::{
    Adapter, Backends, DeviceType, Instance, InstanceDescriptor, InstanceFlags,
    MemoryBudgetThresholds,
};

use super::dx12;
use super::lavapipe::Lavapipe;
use super::validation;
use crate::error::{Error, Result};
use crate::exec::Backend;

/// A description of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AdapterInfo {
    /// Its index in the list of [`adapters`].
    pub index: usize,
    /// The name reported by the driver.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub device_type: String,
    /// The driver and its version.
    pub driver: String,
    /// True if the adapter computes on the CPU.
    pub software: bool,
    /// The environment of lavapipe, if this is lavapipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lavapipe: Option<Lavapipe>,
    /// Why its kernels take long to compile, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_compiler: Option<&'static str>,
}

impl Display for AdapterInfo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({}, {}, {})",
            self.index, self.name, self.backend, self.device_type, self.driver
        )?;
        if let Some(lavapipe) = &self.lavapipe {
            let (vectors, cache) = (lavapipe.vectors(), lavapipe.cache());
            write!(f, "\n   vectors of {vectors}; shader cache: {cache}")?;
        }
        match self.slow_compiler {
            Some(why) => write!(f, "\n   {why}"),
            None => Ok(()),
        }
    }
}

impl AdapterInfo {
    pub(super) fn new(index: usize, info: &wgpu::AdapterInfo) -> Self {
        let driver = format!("{} {}", info.driver, info.driver_info);
        Self {
            index,
            name: info.name.clone(),
            backend: backend_name(info.backend).into(),
            device_type: device_type(info.device_type).into(),
            driver: driver.trim().into(),
            software: info.device_type == DeviceType::Cpu,
            lavapipe: Lavapipe::of(info),
            slow_compiler: dx12::slow_compiler(info.backend),
        }
    }
}

fn backend_name(backend: wgpu::Backend) -> &'static str {
    match backend {
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Dx12 => "dx12",
        wgpu::Backend::Gl => "gl",
        wgpu::Backend::BrowserWebGpu => "webgpu",
        wgpu::Backend::Noop => "noop",
    }
}

fn device_type(device_type: DeviceType) -> &'static str {
    match device_type {
        DeviceType::DiscreteGpu => "discrete",
        DeviceType::IntegratedGpu => "integrated",
        DeviceType::VirtualGpu => "virtual",
        DeviceType::Cpu => "software",
        DeviceType::Other => "other",
    }
}

/// Percentage of the driver's memory budget that may be used, beyond which buffers are evicted to
/// main memory. wgpu refuses a buffer that exceeds it on Vulkan with `VK_EXT_memory_budget` and on
/// DirectX 12; it does not report the budget itself.
const MAX_OF_BUDGET: u8 = 95;

/// All APIs except OpenGL.
const NATIVE: Backends = Backends::VULKAN
    .union(Backends::METAL)
    .union(Backends::DX12);

/// The instance for these backends; its adapters keep it alive. The native ones share one per
/// process.
///
/// OpenGL has a new one each time, so that each device has a context of its own: an instance has one
/// context, which only one thread at a time may use, and adapters of one instance lock it
/// separately (wgpu panics with `BadAccess`). It is created on request, because some drivers write
/// to the terminal then.
fn instance(backends: Backends) -> Instance {
    static NATIVE_INSTANCE: OnceLock<Instance> = OnceLock::new();
    if backends.contains(Backends::GL) {
        validation::instance(descriptor(Backends::GL))
    } else {
        let native = || validation::instance(descriptor(NATIVE));
        NATIVE_INSTANCE.get_or_init(native).clone()
    }
}

fn descriptor(backends: Backends) -> InstanceDescriptor {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    descriptor.flags = InstanceFlags::empty();
    if cfg!(windows) && backends.contains(Backends::DX12) {
        descriptor.backend_options.dx12.shader_compiler = dx12::compiler();
    }
    descriptor.memory_budget_thresholds = MemoryBudgetThresholds {
        for_resource_creation: Some(MAX_OF_BUDGET),
        for_device_loss: None,
    };
    descriptor
}

fn wanted(backend: Backend) -> Backends {
    match backend {
        Backend::Auto => NATIVE,
        Backend::Vulkan => Backends::VULKAN,
        Backend::Metal => Backends::METAL,
        Backend::Dx12 => Backends::DX12,
        Backend::Gl => Backends::GL,
        Backend::Cpu => Backends::empty(),
    }
}

/// Adapters that can run compute shaders, best type first, otherwise in the driver's order.
pub(super) fn enumerate(backend: Backend) -> Vec<Adapter> {
    let backends = wanted(backend);
    let found = pollster::block_on(instance(backends).enumerate_adapters(backends));
    let mut adapters: Vec<Adapter> = found
        .into_iter()
        .filter(|a| a.limits().max_compute_invocations_per_workgroup >= 64)
        .collect();
    adapters.sort_by_key(|a| match a.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    adapters
}

/// The adapters of a backend; for `auto`, of all except OpenGL.
pub fn adapters(backend: Backend) -> Vec<AdapterInfo> {
    described(&enumerate(backend))
}

/// The requested adapter.
pub(super) fn find(backend: Backend, wish: Option<&str>) -> Result<Adapter> {
    let mut list = enumerate(backend);
    let names = described(&list);
    let chosen = match wish {
        None => (!list.is_empty()).then_some(0),
        Some(wish) => match wish.parse::<usize>() {
            Ok(index) => (index < list.len()).then_some(index),
            Err(_) => {
                let wish = wish.to_lowercase();
                names
                    .iter()
                    .position(|a| a.name.to_lowercase().contains(&wish))
            }
        },
    };
    match chosen {
        Some(i) => Ok(list.swap_remove(i)),
        None => Err(missing(backend, wish, &names)),
    }
}

/// The adapter with this description in a new list.
pub(super) fn again(info: &wgpu::AdapterInfo) -> Result<Adapter> {
    let backend: Backend = backend_name(info.backend).parse()?;
    let same = |a: &Adapter| {
        let found = a.get_info();
        // Tells identical cards apart.
        found.device_pci_bus_id == info.device_pci_bus_id
            && (&found.name, found.vendor, found.device) == (&info.name, info.vendor, info.device)
    };
    let found = enumerate(backend).into_iter().find(same);
    found.ok_or_else(|| Error::device(format!("adapter {} is gone", info.name)))
}

fn described(list: &[Adapter]) -> Vec<AdapterInfo> {
    let infos = list.iter().enumerate();
    infos
        .map(|(i, a)| AdapterInfo::new(i, &a.get_info()))
        .collect()
}

fn missing(backend: Backend, wish: Option<&str>, names: &[AdapterInfo]) -> Error {
    let kind = match backend {
        Backend::Auto => String::new(),
        named => format!("{named} "),
    };
    let what = match wish {
        Some(wish) => format!("no {kind}adapter matches `{wish}`"),
        None => format!("no {kind}adapter was found"),
    };
    if names.is_empty() {
        let driver = match backend {
            Backend::Vulkan | Backend::Auto => {
                "install a driver (on Debian or Ubuntu `mesa-vulkan-drivers` and `libvulkan1` bring a software one), or "
            }
            _ => "",
        };
        return Error::NoAdapter(format!("{what}; {driver}use the CPU"));
    }
    let list: Vec<String> = names.iter().map(ToString::to_string).collect();
    Error::device(format!("{what}; available: {}", list.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::gpu::GpuDevice;
    use crate::exec::test_backend;

    #[test]
    fn every_instance_keeps_to_the_budget_of_the_driver() {
        for backends in [NATIVE, Backends::GL] {
            let thresholds = descriptor(backends).memory_budget_thresholds;
            assert_eq!(thresholds.for_resource_creation, Some(MAX_OF_BUDGET));
        }
    }

    /// As on OpenGL, whose contexts each belong to one thread at a time.
    #[test]
    fn threads_open_and_use_devices_of_one_adapter_at_the_same_time() {
        let work = || {
            for round in 0..3u8 {
                let gpu = GpuDevice::find(test_backend(), None)
                    .unwrap_or_else(|e| panic!("the GPU tests need an adapter: {e}"));
                let bytes = [round; 64];
                let buffer = gpu.storage_with("bytes", &bytes).unwrap();
                assert_eq!(gpu.read_back(&buffer, 0, 64).unwrap(), bytes);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(work);
            }
        });
    }
}
