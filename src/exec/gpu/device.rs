//! An open GPU: device and queue, capabilities, and errors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wgpu::{
    Device, DeviceDescriptor, DeviceType, ExperimentalFeatures, Features, Limits, MemoryHints,
    PollError, PollType, Queue, SubmissionIndex, Trace,
};

use super::adapter::{self, AdapterInfo};
use super::lavapipe::Lavapipe;
use super::pipeline::Pipelines;
use super::tuning::{Fetch, Tuning};
use super::validation::{self, one_line};
use super::variants::{name_of, variants};
use crate::error::{Error, Result};
use crate::exec::{Backend, Description, KernelChoice};
use crate::memory;

/// A submission that takes longer counts as hung. Drivers compile kernels when these first run,
/// which takes up to some ten seconds.
const HUNG: Duration = Duration::from_secs(120);

/// Kernels index the bytes of images with a u32.
const MAX_IN_PART: u64 = 1 << 31;

/// Maximum bytes of one write; see `upload`.
pub(super) const PIECE: usize = 64 << 20;

/// How to find out the memory available to tensors: that of the machine for adapters that compute
/// in it, as software and Apple's do. Of other GPUs wgpu reports neither size nor budget (other
/// integrated ones may have memory set aside); see [`adapter`] for what it refuses.
fn budget(info: &wgpu::AdapterInfo) -> fn() -> Option<u64> {
    match (info.device_type, info.backend) {
        (DeviceType::Cpu, _) | (DeviceType::IntegratedGpu, wgpu::Backend::Metal) => {
            memory::available
        }
        _ => || None,
    }
}

/// An open GPU, shared by its executors. A clone refers to the same device.
#[derive(Clone)]
pub struct GpuDevice {
    pub(super) device: Device,
    pub(super) queue: Queue,
    pub(super) limits: Limits,
    /// The kernels compiled so far.
    pub(super) pipelines: Pipelines,
    /// Maximum bytes of images in one buffer, within the adapter's limits.
    pub(super) max_in_part: u64,
    /// Maximum bytes of one write; see [`PIECE`].
    pub(super) piece: usize,
    /// The bytes available to tensors at this moment, where they are known.
    pub(super) budget: fn() -> Option<u64>,
    /// The largest write so far.
    #[cfg(test)]
    pub(super) largest_write: Arc<std::sync::atomic::AtomicUsize>,
    /// Size of the guard behind every buffer; see [`GpuDevice::guarded`].
    pub(super) guard: u64,
    pub(super) info: wgpu::AdapterInfo,
    tuning: Tuning,
    /// The static choice for adapters of this class.
    class: Tuning,
    /// See [`HUNG`].
    hang_timeout: Duration,
    fault: Arc<Mutex<Option<Error>>>,
}

impl GpuDevice {
    /// The best hardware GPU, if there is one.
    ///
    /// # Errors
    /// The GPU cannot be opened.
    pub fn best_hardware() -> Result<Option<Self>> {
        let best = adapter::enumerate(Backend::Auto).into_iter().next();
        match best {
            Some(a) if a.get_info().device_type != DeviceType::Cpu => Self::open(&a).map(Some),
            _ => Ok(None),
        }
    }

    /// The adapter of `backend` with the index or part of a name in `wish`; by default the first.
    ///
    /// # Errors
    /// No adapter matches, or it cannot be opened.
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
            .map_err(|e| Error::device(format!("cannot open {}: {e}", info.name)).caused_by(e))?;
        let fault = Arc::new(Mutex::new(None));
        watch(&device, &fault);
        let class = Tuning::choose(&info, features, &limits);
        Ok(Self {
            tuning: class,
            class,
            hang_timeout: HUNG,
            pipelines: Pipelines::default(),
            max_in_part: MAX_IN_PART,
            piece: PIECE,
            budget: budget(&info),
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

    /// Another device on the same adapter, to replace a lost one or to run beside it: with the same
    /// choices, and no compiled kernels.
    ///
    /// # Errors
    /// The adapter is gone or cannot be opened.
    pub fn reopen(&self) -> Result<Self> {
        let again = Self::open(&adapter::again(&self.info)?)?;
        Ok(Self {
            tuning: self.tuning,
            max_in_part: self.max_in_part,
            piece: self.piece,
            budget: self.budget,
            guard: self.guard,
            hang_timeout: self.hang_timeout,
            pipelines: self.pipelines.anew(),
            ..again
        })
    }

    /// Destroys the device, as a driver may at any time: for tests.
    pub(crate) fn destroy(&self) {
        self.device.destroy();
    }

    /// The same device with a shorter hang timeout: for tests.
    pub(crate) fn with_hang_timeout(&self, hang_timeout: Duration) -> Self {
        Self {
            hang_timeout,
            ..self.clone()
        }
    }

    /// The same device with other kernels: checks run every variant on any adapter that supports
    /// it.
    pub(crate) fn with_tuning(&self, tuning: Tuning) -> Self {
        Self {
            tuning,
            ..self.clone()
        }
    }

    /// The same device with the kernels that `tune` chose for its adapter.
    ///
    /// # Errors
    /// A setting or its value does not exist.
    pub fn with_kernels(&self, choice: &KernelChoice) -> Result<Self> {
        let tuning = self.class.with_choice(choice)?;
        Ok(self.with_tuning(self.possible(tuning)))
    }

    /// The same tuning without what the adapter cannot run.
    pub(crate) fn possible(&self, tuning: Tuning) -> Tuning {
        let most = self.limits.max_compute_invocations_per_workgroup as usize;
        Tuning {
            workgroup: tuning.workgroup.min(most),
            untiled: tuning.untiled.min(most),
            summing: tuning.summing.min(most),
            loss: tuning.loss.min(most),
            ..tuning.within(&self.limits)
        }
    }

    /// Forgets the errors so far, except a lost or hung device.
    pub(crate) fn forget_faults(&self) {
        // Each call takes one, and there is one at most.
        let _ = self.check();
    }

    /// In which settings its kernels differ from those of its class.
    #[must_use]
    pub fn kernels(&self) -> KernelChoice {
        self.tuning.choice(&self.class)
    }

    /// The kernel variants that this adapter supports, by name; its own choice comes first.
    pub(crate) fn variants(&self) -> Vec<(&'static str, Tuning)> {
        let own = self.tuning;
        // Sharing pixels needs subgroups of exactly 8, which is certain only where the adapter's
        // own choice uses them.
        let can = |t: &Tuning| t.fetch == Fetch::Direct || own.fetch == Fetch::Subgroup;
        let within = |(name, tuning): (_, Tuning)| (name, tuning.within(&self.limits));
        let mut variants: Vec<_> = variants().into_iter().map(within).collect();
        variants.retain(|(_, tuning)| can(tuning));
        variants.sort_by_key(|(_, tuning)| *tuning != own);
        variants
    }

    /// The kernel that the driver has been compiling for longest, and since when. Does not see
    /// drivers that compile a kernel when it first runs.
    pub fn compiling(&self) -> Option<(&'static str, Duration)> {
        self.pipelines.compiling()
    }

    /// Lavapipe's environment, if the adapter is lavapipe.
    pub fn lavapipe(&self) -> Option<Lavapipe> {
        Lavapipe::of(&self.info)
    }

    /// Why its kernels take long to compile, if they do.
    pub fn slow_compiler(&self) -> Option<&'static str> {
        super::dx12::slow_compiler(self.info.backend)
    }

    /// The choice of kernels.
    pub(crate) fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// Describes the device.
    pub fn describe(&self) -> Description {
        let info = AdapterInfo::new(0, &self.info);
        Description {
            backend: info.backend,
            adapter: info.name,
            driver: info.driver,
            software: info.software,
        }
    }

    /// Names and values for bug reports.
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
            ("kernels", self.kernel_names()),
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

    /// The class whose kernels it runs, and the settings that differ.
    fn kernel_names(&self) -> String {
        let choice = self.kernels();
        match choice.is_empty() {
            true => name_of(&self.tuning).into(),
            false => format!("{}, tuned: {choice}", name_of(&self.class)),
        }
    }

    fn feature_names(&self) -> String {
        let names: Vec<&str> = self
            .device
            .features()
            .iter_names()
            .map(|(name, _)| name)
            .collect();
        if names.is_empty() {
            "none".into()
        } else {
            names.join(", ")
        }
    }

    /// The first error since the last call. A lost or hung device returns its error on every call.
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

    /// Runs the callbacks of finished work without waiting.
    pub(super) fn poll(&self) -> Result<()> {
        // The only error is a lost device, which has its own callback.
        let _ = self.device.poll(PollType::Poll);
        self.check()
    }

    /// Waits for one submission, or for all of them.
    pub(super) fn wait(&self, submission: Option<SubmissionIndex>) -> Result<()> {
        self.check()?;
        let outcome = self.device.poll(PollType::Wait {
            submission_index: submission,
            timeout: Some(self.hang_timeout),
        });
        self.check()?;
        match outcome {
            Ok(_) => Ok(()),
            Err(PollError::Timeout) => self.hung(),
            Err(e) => {
                // A lost device refuses submissions before its loss is reported.
                self.poll()?;
                Err(Error::device(format!("cannot wait for the device: {e}")).caused_by(e))
            }
        }
    }

    /// Waits until the callback of a finished submission has set `flag`. If several threads poll the
    /// device, one of them may run the callback only after [`Self::wait`] has returned in another.
    pub(super) fn wait_for_callback(&self, flag: &AtomicBool) -> Result<()> {
        let start = Instant::now();
        while !flag.load(Ordering::Acquire) && start.elapsed() < self.hang_timeout {
            self.poll()?;
            thread::yield_now();
        }
        Ok(())
    }

    /// Gives up on the device.
    fn hung(&self) -> Result<()> {
        // Dropping the last handle waits for the device, which would take forever.
        std::mem::forget((self.device.clone(), self.queue.clone()));
        let seconds = self.hang_timeout.as_secs();
        let why = format!(
            "no answer in {seconds} s: its work does not end, or the driver is still compiling it"
        );
        *lock(&self.fault) = Some(Error::DeviceHung(why));
        self.check()
    }
}

/// Keeps errors and the loss of the device for the next call that returns a result; wgpu would
/// panic instead.
fn watch(device: &Device, fault: &Arc<Mutex<Option<Error>>>) {
    let keep = Arc::clone(fault);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let error = match error {
            wgpu::Error::OutOfMemory { source } => Error::OutOfMemory(source.to_string()),
            wgpu::Error::Validation {
                description,
                source,
            }
            | wgpu::Error::Internal {
                description,
                source,
            } => Error::device(format!("the driver refused: {}", one_line(&description)))
                .caused_by(source),
        };
        lock(&keep).get_or_insert(error);
    }));
    let keep = Arc::clone(fault);
    device.set_device_lost_callback(move |reason, message| {
        // Later errors follow from the loss.
        let why = match reason {
            wgpu::DeviceLostReason::Unknown => one_line(&message),
            wgpu::DeviceLostReason::Destroyed => "it was destroyed".into(),
        };
        *lock(&keep) = Some(Error::DeviceLost(why));
    });
}

/// Locks a mutex whose data stay valid even if another thread panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
