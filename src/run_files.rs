//! The names of a run folder's files, by which a search for other files recognises run folders.

#[cfg(feature = "pictures")]
use std::path::Path;

/// The run's settings.
pub const CONFIG: &str = "config.toml";
/// The model and its weights.
pub const WEIGHTS: &str = "model.safetensors";
/// The run's position and state.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Where an imported network came from.
pub const IMPORT: &str = "import.toml";
/// The moments of an imported network's optimizer.
pub const MOMENTS: &str = "optimizer.safetensors";
/// The file that a process locks while it trains into the folder.
pub const LOCK: &str = ".lock";

/// Whether `path` is the folder of a run or of an imported network.
#[cfg(feature = "pictures")]
pub fn is_run(path: &Path) -> bool {
    let holds = |name: &str| path.join(name).is_file();
    let is_trained = holds(CONFIG) && [LOCK, WEIGHTS, CHECKPOINT].into_iter().any(holds);
    is_trained || holds(IMPORT) && holds(WEIGHTS)
}
