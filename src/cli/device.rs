//! Choosing a device on the command line.

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use cnn_gpu::Error;
use cnn_gpu::bench::{Race, cpu_is_faster};
#[cfg(feature = "gpu")]
use cnn_gpu::exec::gpu::AdapterInfo;
use cnn_gpu::exec::{self, Backend, Description, Device, Selection};
use cnn_gpu::model::Sequential;
use cnn_gpu::run::DeviceRecord;
use cnn_gpu::train::Options;

use super::output::say;

/// The device to run on.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Device")]
pub struct DeviceArgs {
    /// API to run on; `auto` picks a hardware GPU if there is one, otherwise the CPU
    #[arg(long, value_name = "NAME", default_value_t, value_parser = backends())]
    backend: Backend,

    /// Index of the adapter in `cnn-gpu devices`, or part of its name; under mpirun also several with commas, which
    /// the processes on a machine take in turn
    #[arg(long, value_name = "INDEX-OR-NAME", value_parser = adapter)]
    adapter: Option<String>,

    /// The adapter of one of several processes, of those requested.
    #[arg(skip)]
    dealt: Option<String>,

    /// Number of CPU threads [default: one per core]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

fn backends() -> impl TypedValueParser<Value = Backend> {
    let names = Backend::ALL.map(Backend::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Backend>())
}

/// Parses an adapter: anything that is not blank.
pub fn adapter(typed: &str) -> Result<String, &'static str> {
    match typed.trim() {
        "" => Err("expected an index from `cnn-gpu devices`, or part of an adapter's name"),
        _ => Ok(typed.to_owned()),
    }
}

impl DeviceArgs {
    /// The flags that were given.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let flags = [
            ("--backend", self.backend != Backend::default()),
            ("--adapter", self.adapter.is_some()),
            ("--threads", self.threads.is_some()),
        ];
        let given = flags.into_iter().filter(|(_, given)| *given);
        given.map(|(flag, _)| flag)
    }

    /// The part of one of the processes that `mpirun` started on this machine, whose number is the first: an adapter
    /// of those that are listed, or of those that the backend has; or a share of the processor's cores, on which
    /// `sharers` of them run.
    pub fn share(&mut self, (number, of): (usize, usize), sharers: usize) {
        self.dealt = match &self.adapter {
            Some(list) => {
                let names: Vec<&str> = list.split(',').map(str::trim).collect();
                Some(names[number % names.len()].to_owned())
            }
            None if of > 1 => adapter_in_turn(self.backend, number),
            None => None,
        };
        if sharers > 1 && self.threads.is_none() {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            self.threads = Some(u16::try_from((cores / sharers).max(1)).unwrap_or(u16::MAX));
        }
    }

    /// The requested device.
    pub fn selection(&self) -> Selection {
        let mut selection = Selection::new(self.backend);
        selection.adapter.clone_from(&self.adapter);
        selection
    }

    /// The device of this process.
    fn own(&self) -> Selection {
        let mut selection = self.selection();
        if self.dealt.is_some() {
            selection.adapter.clone_from(&self.dealt);
        }
        selection
    }

    /// The device that a run requested, with the number of threads given now.
    ///
    /// # Errors
    /// The run's settings name a backend that does not exist.
    pub fn or(self, run: &DeviceRecord) -> cnn_gpu::Result<Self> {
        Ok(Self {
            backend: run.requested_backend.parse()?,
            adapter: run.requested_adapter.clone(),
            ..self
        })
    }

    /// Limits the number of threads, before anything uses them, and opens the device.
    pub fn open(&self) -> anyhow::Result<Device> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads.into())
                .build_global()
                .context("cannot start the threads")?;
        }
        let mut device = exec::open(&self.own())?;
        if let Some(reason) = requested(&self.selection()) {
            device.reason = reason;
        } else if self.dealt.is_some() {
            device.reason = "which the processes of mpirun on this machine take in turn".into();
        }
        Ok(device)
    }
}

/// The index of the adapter for a process of this number; none if the backend has no adapters, or `auto` only
/// those that are software.
#[cfg(feature = "gpu")]
fn adapter_in_turn(backend: Backend, number: usize) -> Option<String> {
    if backend == Backend::Cpu {
        return None;
    }
    let mut adapters = exec::gpu::adapters(backend);
    if adapters.iter().any(|adapter| !adapter.software) {
        adapters.retain(|adapter| !adapter.software);
    } else if backend == Backend::Auto {
        return None;
    }
    // An adapter is listed once for each interface; its first one comes first. Ranks need devices of one kind: that
    // of the one that a single process would take.
    let first = adapters.first()?.clone();
    let kind = |adapter: &AdapterInfo| {
        [&adapter.backend, &adapter.name, &adapter.driver].map(String::clone)
    };
    adapters.retain(|adapter| kind(adapter) == kind(&first));
    Some(adapters[number % adapters.len()].index.to_string())
}

#[cfg(not(feature = "gpu"))]
fn adapter_in_turn(_backend: Backend, _number: usize) -> Option<String> {
    None
}

/// The flag that chose the device, if one did.
fn requested(selection: &Selection) -> Option<String> {
    match (&selection.adapter, selection.backend) {
        (Some(name), _) => Some(format!("requested by --adapter {name}")),
        (None, Backend::Auto) => None,
        (None, backend) => Some(format!("requested by --backend {backend}")),
    }
}

/// A device in one line.
pub fn in_words(device: &Description) -> String {
    let interface = format!("{} {}", device.backend, device.driver);
    format!("{} ({})", device.adapter, interface.trim_end())
}

/// What of a device [in words](in_words) decides its results: all, but of the CPU only its architecture and whether
/// it rounds a product before a sum. Any number of threads gives the same bytes.
pub fn kind(device: &str) -> String {
    let Some(processor) = device.strip_suffix(" (cpu)") else {
        return device.to_owned();
    };
    let mut parts = processor.split(", ");
    let architecture = parts.next().unwrap_or_default();
    let is_scalar = parts.any(|part| part == "vectors of 1");
    let sums = if is_scalar { "scalar" } else { "fused" };
    format!("cpu {architecture} {sums}")
}

/// Prints the device, why it was chosen, and warnings if it is a software adapter or compiles
/// slowly.
pub fn announce(device: &Description, opened: &Device) {
    let reason = &opened.reason;
    let driver = match device.driver.as_str() {
        "" => String::new(),
        driver => format!(", driver {driver}"),
    };
    let Description {
        adapter, backend, ..
    } = device;
    say(&format!("device: {adapter} ({backend}{driver}), {reason}"));
    if device.software {
        say(
            "warning: this software adapter emulates a GPU on the CPU; run `cnn-gpu bench` on it and \
             with `--backend cpu` to see which trains faster",
        );
    }
    if let Some(why) = opened.slow_compiler() {
        say(&format!("warning: {why}"));
    }
}

/// Prints a note if the CPU trains the model faster than the GPU that was chosen automatically.
pub fn compare_with_cpu(
    args: &DeviceArgs,
    device: &Device,
    model: &Sequential,
    options: &Options,
) -> cnn_gpu::Result<()> {
    let is_automatic = args.backend == Backend::Auto && args.adapter.is_none();
    if !is_automatic || !device.is_gpu() {
        return Ok(());
    }
    // Steps of a micro-batch, where a batch may not fit.
    let rows = options.micro_batch.unwrap_or(options.batch_size);
    match Race::run(
        device,
        model,
        options.optimizer,
        rows.min(options.batch_size),
    ) {
        Ok(race) => {
            if let Some(advice) = advice(&race) {
                say(&advice);
            }
            Ok(())
        }
        Err(lost @ (Error::DeviceLost(_) | Error::DeviceHung(_))) => Err(lost),
        // A model that cannot be compared, for lack of memory for instance, may still be trained.
        Err(_) => Ok(()),
    }
}

/// The note about a race that the CPU wins clearly.
fn advice(race: &Race) -> Option<String> {
    let factor = cpu_is_faster(race)?;
    Some(format!(
        "note: the CPU trains this model {factor:.1} times as fast as this GPU: try `--backend cpu`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_take_the_listed_adapters_in_turn_and_the_list_is_what_was_requested() {
        let mut args = DeviceArgs {
            backend: Backend::Vulkan,
            adapter: Some("0, 2".into()),
            dealt: None,
            threads: Some(1),
        };
        let own = |args: &DeviceArgs| args.own().adapter.unwrap_or_default();
        // A single process without mpirun: a name may contain a comma.
        assert_eq!(own(&args), "0, 2");
        for (number, expected) in [(0, "0"), (1, "2"), (2, "0")] {
            args.share((number, 3), 1);
            assert_eq!(own(&args), expected);
            assert_eq!(args.selection().adapter.as_deref(), Some("0, 2"));
        }
    }

    #[test]
    fn the_cpu_is_recommended_only_where_it_is_faster() {
        let advice = |gpu, cpu| advice(&Race { gpu, cpu });
        let text = advice(0.03, 0.01).unwrap_or_default();
        assert!(text.contains("3.0 times") && text.contains("--backend cpu"));
        assert_eq!(advice(0.01, 0.03), None);
    }
}
