//! Main memory: how much is available, and whether that is enough.

use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

use crate::error::{Error, Result};

/// The available bytes, within the limits of the process's control group; `None` if unknown.
pub(crate) fn available() -> Option<u64> {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory).ok()?;
    let machine = Some(system.available_memory()).filter(|bytes| *bytes > 0)?;
    // Cached files can be evicted, so they do not count as used.
    let group = (system.cgroup_limits()).map(|group| group.total_memory.saturating_sub(group.rss));
    Some(machine.min(group.unwrap_or(u64::MAX)))
}

/// The bytes of main memory that this process uses; `None` if unknown.
pub(crate) fn of_process() -> Option<u64> {
    let own = sysinfo::get_current_pid().ok()?;
    let mut system = System::new().ok()?;
    let memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, memory);
    system.process(own).map(|process| process.memory())
}

/// Checks that this much main memory is available.
///
/// # Errors
/// [`Error::TooLarge`], without a size that would fit.
pub(crate) fn check(what: &str, needs: u64) -> Result<()> {
    within(available(), what, needs)
}

/// Checks that no more is needed than is available, if that is known.
///
/// # Errors
/// As [`check`].
pub(crate) fn within(available: Option<u64>, what: &str, needs: u64) -> Result<()> {
    match available {
        Some(available) if needs > available => {
            let left = format!("only {} is available", in_words(available));
            Err(too_large(what, needs, &left))
        }
        _ => Ok(()),
    }
}

/// The error for something that needs too many bytes.
pub(crate) fn too_large(what: &str, needs: u64, allows: &str) -> Error {
    Error::TooLarge {
        needs: format!("{what} would take {}", in_words(needs)),
        allows: allows.into(),
        fits: "use a smaller one".into(),
        largest_batch: None,
    }
}

/// A number of bytes, such as `3.2 GiB`.
pub(crate) fn in_words(bytes: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS.into_iter().find(|(_, shift)| bytes >> shift > 0);
    match unit {
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / f64::from(1 << shift)),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_memory() {
        let taken = of_process().unwrap();
        assert!(taken > 1 << 18 && taken < 1 << 40, "{taken}");
    }

    #[test]
    fn bytes_are_written_with_units() {
        let words = [12, 1 << 10, 3 << 19, 7 << 29].map(in_words);
        assert_eq!(words, ["12 bytes", "1.0 KiB", "1.5 MiB", "3.5 GiB"]);
    }

    #[test]
    fn more_memory_than_any_machine_has_is_an_error() {
        assert!(check("a byte", 1).is_ok());
        let error = check("the tensors", 1 << 60).map_err(|e| e.to_string());
        assert!(
            error.is_err_and(|e| e.starts_with("the tensors would take 1073741824.0 GiB, and"))
        );
    }
}
