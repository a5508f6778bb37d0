//! A GPU that is open: device and queue, what it can do, and what went wrong on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wgpu::{
    Device, DeviceDescriptor, ExperimentalFeatures, Features, Limits, MemoryHints, PollError,
    PollType, Queue, SubmissionIndex, Trace,
};

use super::adapter::{self, AdapterInfo};
use super::lavapipe::Lavapipe;
use super::pipeline::Pipelines;
use super::tuning::{Fetch, Tuning};
use super::validation::{self, one_line};
use super::variants::{name_of, variants};
use crate::error::{Error, Result};
use crate::exec::{Backend, Description};

/// A submission that takes longer than this is taken for hung. Drivers compile kernels when they are
/// first run, the slowest of them for some ten seconds.
const HUNG: Duration = Duration::from_secs(120);

/// Maximum bytes of one write.
pub(super) const PIECE: usize = 64 << 20;

/// Kernels count bytes of images in u32.
const MOST_IN_PART: u64 = 1 << 31;

/// An open GPU, shared by the executors on it. A clone is the same device.
#[derive(Clone)]
pub struct GpuDevice {
    pub(super) device: Device,
    pub(super) queue: Queue,
    pub(super) limits: Limits,
    /// The kernels made so far.
    pub(super) pipelines: Pipelines,
    /// Most bytes of images in one buffer, within the adapter's limits.
    pub(super) most_in_part: u64,
    /// Maximum bytes of one write; see [`PIECE`].
    pub(super) piece: usize,
    /// The largest write so far.
    #[cfg(test)]
    pub(super) largest_write: Arc<std::sync::atomic::AtomicUsize>,
    /// Bytes behind every buffer that nobody may write; see [`GpuDevice::guarded`].
    pub(super) guard: u64,
    pub(super) info: wgpu::AdapterInfo,
    tuning: Tuning,
    /// See [`HUNG`].
    patience: Duration,
    fault: Arc<Mutex<Option<Error>>>,
}

impl GpuDevice {
    /// The best hardware GPU, if there is one.
    ///
    /// # Errors
    /// There is one, but it cannot be opened.
    pub fn best_hardware() -> Result<Option<Self>> {
        let best = adapter::enumerate(Backend::Auto).into_iter().next();
        match best {
            Some(a) if a.get_info().device_type != wgpu::DeviceType::Cpu => {
                Self::open(&a).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The adapter of `backend` with this index or this part of its name; the first without a wish.
    ///
    /// # Errors
    /// None matches, or it cannot be opened.
    pub fn find(backend: Backend, wish: Option<&str>) -> Result<Self> {
        Self::open(&adapter::find(backend, wish)?)
    }

    fn open(adapter: &wgpu::Adapter) -> Result<Self> {
        let info = adapter.get_info();
        let features = adapter.features() & (Features::SUBGROUP | Features::TIMESTAMP_QUERY);
        let limits = adapter.limits();
        let request = adapter.request_device(&DeviceDescriptor {
            label: Some("cnn-gpu"),
            required_features: features,
            required_limits: limits.clone(),
            experimental_features: ExperimentalFeatures::disabled(),
            memory_hints: MemoryHints::Performance,
            trace: Trace::Off,
        });
        let (device, queue) = pollster::block_on(request)
            .map_err(|e| Error::Device(format!("cannot open {}: {e}", info.name)))?;
        let fault = Arc::new(Mutex::new(None));
        watch(&device, &fault);
        Ok(Self {
            tuning: Tuning::choose(&info, features, &limits),
            patience: HUNG,
            pipelines: Pipelines::default(),
            most_in_part: MOST_IN_PART,
            piece: PIECE,
            #[cfg(test)]
            largest_write: Arc::default(),
            guard: 0,
            device,
            queue,
            limits,
            info,
            fault,
        })
    }

    /// Another device of the same adapter, for who has lost this one or wants a second: with the same
    /// choices, and no kernels yet.
    ///
    /// # Errors
    /// It is gone, or cannot be opened.
    pub fn reopen(&self) -> Result<Self> {
        let again = Self::open(&adapter::again(&self.info)?)?;
        Ok(Self {
            tuning: self.tuning,
            most_in_part: self.most_in_part,
            piece: self.piece,
            guard: self.guard,
            patience: self.patience,
            pipelines: self.pipelines.anew(),
            ..again
        })
    }

    /// Takes the device away, as a driver may at any time: for tests of what happens then.
    #[doc(hidden)]
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// The same device, taken for hung after so long and not after two minutes: for tests.
    #[doc(hidden)]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            patience,
            ..self.clone()
        }
    }

    /// The same device with other kernels: every variant must agree, and this is how checks run
    /// each of them on any adapter that can.
    #[doc(hidden)]
    pub fn with_tuning(&self, tuning: Tuning) -> Self {
        Self {
            tuning,
            ..self.clone()
        }
    }

    /// The kernel variants that this adapter can run, by name; its own choice comes first.
    pub fn variants(&self) -> Vec<(&'static str, Tuning)> {
        let own = self.tuning;
        // Handing pixels round needs subgroups of 8, which only an adapter that chose it surely has.
        let can = |t: &Tuning| t.fetch == Fetch::Direct || own.fetch == Fetch::Subgroup;
        let within = |(name, tuning): (_, Tuning)| (name, tuning.within(&self.limits));
        let mut variants: Vec<_> = variants().into_iter().map(within).collect();
        variants.retain(|(_, tuning)| can(tuning));
        variants.sort_by_key(|(_, tuning)| *tuning != own);
        variants
    }

    /// Of the kernels that the driver is compiling the one that it began with, and for how long it has been
    /// at it. Some drivers compile a kernel when it first runs: that is not known here.
    pub fn compiling(&self) -> Option<(&'static str, Duration)> {
        self.pipelines.compiling()
    }

    /// Lavapipe's surroundings, if the adapter is lavapipe's.
    pub fn lavapipe(&self) -> Option<Lavapipe> {
        Lavapipe::of(&self.info)
    }

    /// Why its kernels take long to compile, if they do.
    pub fn slow_compiler(&self) -> Option<&'static str> {
        super::dx12::slow_compiler(self.info.backend)
    }

    /// Which kernels run.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// What runs.
    pub fn describe(&self) -> Description {
        let info = AdapterInfo::new(0, &self.info);
        Description {
            backend: info.backend,
            adapter: info.name,
            driver: info.driver,
            software: info.software,
        }
    }

    /// What a bug report should tell of the device: names and values.
    pub fn report(&self) -> Vec<(String, String)> {
        let info = AdapterInfo::new(0, &self.info);
        let l = &self.limits;
        let subgroups = (self.info.subgroup_min_size, self.info.subgroup_max_size);
        let rows = [
            ("adapter", info.name),
            ("backend", info.backend),
            ("type", info.device_type),
            ("driver", info.driver),
            ("vendor", format!("{:#06x}", self.info.vendor)),
            ("device", format!("{:#06x}", self.info.device)),
            ("features", self.feature_names()),
            (
                "subgroup size",
                format!("{} to {}", subgroups.0, subgroups.1),
            ),
            (
                "largest binding",
                format!("{} MiB", l.max_storage_buffer_binding_size >> 20),
            ),
            ("largest buffer", format!("{} MiB", l.max_buffer_size >> 20)),
            (
                "storage buffers per stage",
                l.max_storage_buffers_per_shader_stage.to_string(),
            ),
            (
                "workgroup memory",
                format!("{} KiB", l.max_compute_workgroup_storage_size >> 10),
            ),
            (
                "workgroup invocations",
                l.max_compute_invocations_per_workgroup.to_string(),
            ),
            (
                "workgroups per axis",
                l.max_compute_workgroups_per_dimension.to_string(),
            ),
            ("kernels", name_of(&self.tuning).into()),
        ];
        let mut rows = rows.to_vec();
        if let Some(lavapipe) = self.lavapipe() {
            rows.push(("vectors", lavapipe.vectors()));
            rows.push(("shader cache", lavapipe.cache()));
        }
        (rows.into_iter())
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn feature_names(&self) -> String {
        let names: Vec<&str> = self
            .device
            .features()
            .iter_names()
            .map(|(name, _)| name)
            .collect();
        match names.is_empty() {
            true => "none".into(),
            false => names.join(", "),
        }
    }

    /// The first error since the last call; a device that is lost or hangs stays so.
    pub(super) fn check(&self) -> Result<()> {
        validation::check()?;
        let mut fault = lock(&self.fault);
        match &*fault {
            None => Ok(()),
            Some(Error::DeviceLost(why)) => Err(Error::DeviceLost(why.clone())),
            Some(Error::DeviceHung(why)) => Err(Error::DeviceHung(why.clone())),
            Some(_) => fault.take().map_or(Ok(()), Err),
        }
    }

    /// Lets finished work call back, without waiting.
    pub(super) fn poll(&self) -> Result<()> {
        // Nothing to report but a lost device, which has its own callback.
        let _ = self.device.poll(PollType::Poll);
        self.check()
    }

    /// Waits for one submission, or for all of them.
    pub(super) fn wait(&self, submission: Option<SubmissionIndex>) -> Result<()> {
        self.check()?;
        let outcome = self.device.poll(PollType::Wait {
            submission_index: submission,
            timeout: Some(self.patience),
        });
        self.check()?;
        match outcome {
            Ok(_) => Ok(()),
            Err(PollError::Timeout) => self.hung(),
            Err(e) => {
                // A lost device refuses submissions before it says that it is lost.
                self.poll()?;
                Err(Error::Device(format!("cannot wait for the device: {e}")))
            }
        }
    }

    /// Leaves the device to itself.
    fn hung(&self) -> Result<()> {
        // Whoever drops the last handle waits for the device, and would for ever.
        std::mem::forget((self.device.clone(), self.queue.clone()));
        let seconds = self.patience.as_secs();
        let why = format!(
            "no answer in {seconds} s, from work that does not end or a driver that is still compiling it"
        );
        *lock(&self.fault) = Some(Error::DeviceHung(why));
        self.check()
    }
}

/// Errors and loss of the device are kept for the next call that can return them; wgpu would
/// otherwise panic.
fn watch(device: &Device, fault: &Arc<Mutex<Option<Error>>>) {
    let keep = Arc::clone(fault);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let error = match error {
            wgpu::Error::OutOfMemory { source } => Error::OutOfMemory(source.to_string()),
            wgpu::Error::Validation { description, .. }
            | wgpu::Error::Internal { description, .. } => {
                Error::Device(format!("the driver refused: {}", one_line(&description)))
            }
        };
        lock(&keep).get_or_insert(error);
    }));
    let keep = Arc::clone(fault);
    device.set_device_lost_callback(move |reason, message| {
        // Whatever else goes wrong then follows from that.
        let why = match reason {
            wgpu::DeviceLostReason::Unknown => one_line(&message),
            wgpu::DeviceLostReason::Destroyed => "it was destroyed".into(),
        };
        *lock(&keep) = Some(Error::DeviceLost(why));
    });
}

/// A panic in another thread leaves the data of these locks whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
