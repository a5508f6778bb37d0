//! The file that remembers an adapter's kernels.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::disk;
use crate::error::{Error, FormatError, Result};
use crate::exec::gpu::tuning::Tuning;
use crate::exec::{Description, KernelChoice};
use crate::read_toml::read_toml;

/// The kernels that were chosen for an adapter, its driver and a version of this program: the file
/// `tuning/HASH.toml` in the user's cache folder of `cnn-gpu`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TunedKernels {
    /// The backend.
    pub backend: String,
    /// The adapter.
    pub adapter: String,
    /// Its driver, with the version.
    pub driver: String,
    /// The version of `cnn-gpu`.
    pub version: String,
    /// When they were chosen.
    pub tuned: String,
    /// The model that was measured.
    pub model: String,
    /// Images per step.
    pub batch_size: usize,
    /// The speed relative to that of the default kernels.
    pub speed: f64,
    /// The settings that differ from those of the adapter's class.
    pub kernels: KernelChoice,
}

impl TunedKernels {
    /// Kernels of this version for `device`, chosen at `tuned` with this model and batch size.
    pub fn new(
        device: &Description,
        tuned: impl Into<String>,
        (model, batch_size): (&str, usize),
        (kernels, speed): (KernelChoice, f64),
    ) -> Self {
        Self {
            backend: device.backend.clone(),
            adapter: device.adapter.clone(),
            driver: device.driver.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            tuned: tuned.into(),
            model: model.into(),
            batch_size,
            speed,
            kernels,
        }
    }

    /// The file for `device` in `folder`.
    #[must_use]
    pub fn path(folder: &Path, device: &Description) -> PathBuf {
        let Description {
            backend,
            adapter,
            driver,
            ..
        } = device;
        let mut hash = Sha256::new();
        for part in [backend, adapter, driver, env!("CARGO_PKG_VERSION")] {
            hash.update(part);
            hash.update([0]);
        }
        let hash = hash.finalize();
        let name: String = hash
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        folder.join(format!("{name}.toml"))
    }

    /// Reads those for `device` from `folder`, if there are any.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn load(folder: &Path, device: &Description) -> Result<Option<Self>> {
        let path = Self::path(folder, device);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|e| Error::file(&path, format!("cannot be read: {e}")))?,
        };
        let read: Result<Self, FormatError> = read_toml(&text);
        let found = read.map_err(|e| {
            Error::file(&path, e.within("no kernels of `cnn-gpu tune`").to_string())
        })?;
        found.check().map_err(|e| Error::file(&path, e))?;
        Ok(found.belongs_to(device).then_some(found))
    }

    /// Writes them to `folder`, and returns the file's path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        let path = Self::path(folder, &self.device());
        let failed = |e: std::io::Error| Error::file(&path, format!("cannot be written: {e}"));
        let text = toml::to_string(self)
            .map_err(|e| Error::file(&path, format!("cannot be written: {e}")))?;
        disk::make_folder(folder).map_err(failed)?;
        disk::replace(&path, text.as_bytes()).map_err(failed)?;
        Ok(path)
    }

    /// Removes those for `device` from `folder`; whether there were any.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(folder: &Path, device: &Description) -> Result<bool> {
        let path = Self::path(folder, device);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file(&path, format!("cannot be removed: {error}"))),
            Ok(()) => Ok(true),
        }
    }

    /// The folder of these files, if the user has a home folder.
    #[must_use]
    pub fn folder() -> Option<PathBuf> {
        disk::cache_folder("tuning")
    }

    /// Checks what is not checked by its type.
    fn check(&self) -> Result<()> {
        if self.version != env!("CARGO_PKG_VERSION") {
            // Of another version: not taken.
            return Ok(());
        }
        if self.kernels.is_empty() || !(self.speed.is_finite() && self.speed > 0.0) {
            let message = "expected at least one setting of kernels, and a speed above 0";
            return Err(Error::Argument(message.into()));
        }
        Tuning::check(&self.kernels)
    }

    fn device(&self) -> Description {
        Description {
            backend: self.backend.clone(),
            adapter: self.adapter.clone(),
            driver: self.driver.clone(),
            software: false,
        }
    }

    fn belongs_to(&self, device: &Description) -> bool {
        let Description {
            backend,
            adapter,
            driver,
            ..
        } = device;
        [&self.backend, &self.adapter, &self.driver] == [backend, adapter, driver]
            && self.version == env!("CARGO_PKG_VERSION")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(driver: &str) -> Description {
        Description {
            backend: "vulkan".into(),
            adapter: "a card".into(),
            driver: driver.into(),
            software: false,
        }
    }

    #[test]
    fn kernels_are_remembered_by_adapter_and_driver() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("tuning");
        let (old, new) = (device("1.0"), device("1.1"));
        assert_eq!(TunedKernels::load(&folder, &old).unwrap(), None);
        let kernels = KernelChoice::from_iter([("workgroup", 128)]);
        let tuned = TunedKernels::new(&old, "2026-11-29", ("mnist-cnn", 64), (kernels, 1.25));
        let path = tuned.save(&folder).unwrap();
        assert_eq!(
            TunedKernels::load(&folder, &old).unwrap(),
            Some(tuned.clone())
        );
        assert_eq!(TunedKernels::load(&folder, &new).unwrap(), None);
        // A copy under the name of another adapter is not that adapter's.
        fs::copy(&path, TunedKernels::path(&folder, &new)).unwrap();
        assert_eq!(TunedKernels::load(&folder, &new).unwrap(), None);
        assert!(TunedKernels::forget(&folder, &old).unwrap());
        assert!(!TunedKernels::forget(&folder, &old).unwrap());
    }

    #[test]
    fn a_damaged_file_is_named_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = TunedKernels::path(folder.path(), &device("1.0"));
        let load = || {
            TunedKernels::load(folder.path(), &device("1.0"))
                .unwrap_err()
                .to_string()
        };
        for text in ["", "kernels = 3", "\u{0}", "[kernels]\nworkgroup = -1"] {
            fs::write(&path, text).unwrap();
            let error = load();
            assert!(
                error.contains("no kernels of `cnn-gpu tune`") && !error.contains('\n'),
                "{error}"
            );
        }
        for (kernels, speed, words) in [
            (vec![("workgroup", 3)], 1.5, "workgroup 3: expected one of"),
            (vec![("speed", 3)], 1.5, "no setting `speed`"),
            (vec![], 1.5, "at least one setting"),
            (vec![("workgroup", 32)], f64::NAN, "a speed above 0"),
        ] {
            let choice = (kernels.into_iter().collect(), speed);
            let tuned = TunedKernels::new(&device("1.0"), "today", ("mnist-cnn", 64), choice);
            tuned.save(folder.path()).unwrap();
            let error = load();
            assert!(
                error.contains(words) && error.contains(".toml: "),
                "{error}"
            );
        }
    }
}
