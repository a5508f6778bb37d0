//! The graphics API's validation, for work on kernels and host calls.
//!
//! `CNN_GPU_VALIDATION=1` turns on Vulkan's validation layer (which must be installed) or DirectX
//! 12's debug layer. An error that it reports becomes an error of the device, returned by the next
//! call that can fail. wgpu passes such reports only to the `log` crate, so this module installs a
//! logger; if the program has installed its own, that is an error, as reports would go unnoticed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use log::{Level, LevelFilter, Metadata, Record};
use wgpu::{Instance, InstanceDescriptor, InstanceFlags};

use crate::error::{Error, Result};

const VARIABLE: &str = "CNN_GPU_VALIDATION";

/// The first report not yet returned.
static REPORT: Mutex<Option<String>> = Mutex::new(None);

fn kept() -> MutexGuard<'static, Option<String>> {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner)
}
/// Whether there is one.
static REPORTED: AtomicBool = AtomicBool::new(false);

/// The logger that keeps the first report.
struct ReportLogger;

impl log::Log for ReportLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_hal")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if let Some(why) = fault(record.level(), &record.args().to_string()) {
            report(why);
        }
    }

    fn flush(&self) {}
}

/// The error in a log message, if it is one.
fn fault(level: Level, message: &str) -> Option<String> {
    let message = one_line(message);
    if message.contains("unable to find layer") {
        Some(format!("{VARIABLE} is set, but {message}"))
    } else if level == Level::Error && message.starts_with("VALIDATION") {
        Some(format!("the API's validation: {message}"))
    } else {
        None
    }
}

/// A driver's message, possibly of several indented lines, on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn report(message: String) {
    kept().get_or_insert(message);
    REPORTED.store(true, Ordering::Release);
}

/// Creates an instance, with the API's validation if the environment requests it.
pub(super) fn instance(mut descriptor: InstanceDescriptor) -> Instance {
    match std::env::var(VARIABLE).as_deref().unwrap_or_default() {
        "" | "0" => Instance::new(descriptor),
        "1" => {
            // Several instances share the logger.
            static INSTALLED: OnceLock<bool> = OnceLock::new();
            if !INSTALLED.get_or_init(|| log::set_logger(&ReportLogger).is_ok()) {
                report(format!(
                    "{VARIABLE} is set, but another logger takes the reports"
                ));
            }
            descriptor.flags |= InstanceFlags::VALIDATION;
            // A missing layer is reported only at debug level, and only here.
            log::set_max_level(LevelFilter::Debug);
            let instance = Instance::new(descriptor);
            log::set_max_level(LevelFilter::Error);
            instance
        }
        other => {
            report(format!("{VARIABLE} is `{other}`: expected 1 or 0"));
            Instance::new(descriptor)
        }
    }
}

/// Returns what validation has reported since the last call.
pub(super) fn check() -> Result<()> {
    if !REPORTED.swap(false, Ordering::Acquire) {
        return Ok(());
    }
    kept().take().map_or(Ok(()), |why| Err(Error::device(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_validation_and_a_missing_layer_are_faults() {
        let found = |level, message| fault(level, message);
        let error = "VALIDATION [VUID-vkCmdDispatch-None (0x1)]\n\tno descriptor set";
        let why =
            "the API's validation: VALIDATION [VUID-vkCmdDispatch-None (0x1)] no descriptor set";
        assert_eq!(found(Level::Error, error).as_deref(), Some(why));
        assert_eq!(found(Level::Warn, error), None);
        let loader = "GENERAL [Loader Message (0x0)]\n\tno driver.json";
        assert_eq!(found(Level::Error, loader), None);
        let missing = "InstanceFlags::VALIDATION requested, but unable to find layer: VK_LAYER";
        assert!(found(Level::Debug, missing).is_some_and(|why| why.starts_with("CNN_GPU_VAL")));
    }
}
