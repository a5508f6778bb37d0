//! The parts of lavapipe's environment that determine what it runs: its vector width and its kernel
//! cache. Some versions of Mesa (25.0.7 and 26.1.6) load kernels of another width from the cache,
//! which then silently compute zeros.

use std::env;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The environment of lavapipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lavapipe {
    /// Vector width in bits.
    pub vector_bits: u32,
    /// `LP_NATIVE_VECTOR_WIDTH`, if it is set.
    pub native_vector_width: Option<String>,
    /// Existing folders of Mesa's shader cache, possibly of other versions of Mesa.
    pub shader_cache: Vec<PathBuf>,
    /// Whether `MESA_SHADER_CACHE_DISABLE` turns the cache off.
    pub cache_disabled: bool,
}

/// Folder names of Mesa's cache types.
const FOLDERS: [&str; 3] = [
    "mesa_shader_cache",
    "mesa_shader_cache_db",
    "mesa_shader_cache_sf",
];

impl Lavapipe {
    /// The environment, if the adapter is lavapipe.
    pub(super) fn of(info: &wgpu::AdapterInfo) -> Option<Self> {
        (info.backend == wgpu::Backend::Vulkan && info.driver == "llvmpipe")
            // One lane is one f32.
            .then(|| Self::found(info.subgroup_max_size * 32, |name| env::var(name).ok()))
    }

    fn found(vector_bits: u32, variable: impl Fn(&str) -> Option<String>) -> Self {
        // As `disk_cache_generate_cache_dir` in Mesa.
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let above = (set("MESA_SHADER_CACHE_DIR").or_else(|| set("MESA_GLSL_CACHE_DIR")))
            .or_else(|| set("XDG_CACHE_HOME"))
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")));
        let folders = FOLDERS
            .iter()
            .filter_map(|name| Some(above.as_ref()?.join(name)));
        let disabled = set("MESA_SHADER_CACHE_DISABLE").or_else(|| set("MESA_GLSL_CACHE_DISABLE"));
        let yes = ["1", "true", "y", "yes"];
        Self {
            vector_bits,
            native_vector_width: set("LP_NATIVE_VECTOR_WIDTH"),
            shader_cache: folders.filter(|folder| folder.is_dir()).collect(),
            cache_disabled: disabled
                .is_some_and(|value| yes.contains(&value.to_lowercase().as_str())),
        }
    }

    /// `256 bits (LP_NATIVE_VECTOR_WIDTH is not set)`.
    pub fn vectors(&self) -> String {
        let set = match &self.native_vector_width {
            Some(width) => format!("LP_NATIVE_VECTOR_WIDTH={width}"),
            None => "LP_NATIVE_VECTOR_WIDTH is not set".into(),
        };
        format!("{} bits ({set})", self.vector_bits)
    }

    /// The folders of the cache.
    pub fn cache(&self) -> String {
        if self.cache_disabled {
            return "off (MESA_SHADER_CACHE_DISABLE)".into();
        }
        if self.shader_cache.is_empty() {
            return "none yet".into();
        }
        let folders = self.shader_cache.iter();
        let folders: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
        folders.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_mesa_looks_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let cache = folder.path().join(".cache/mesa_shader_cache_db");
        std::fs::create_dir_all(&cache).unwrap();
        let variables = |name: &str| match name {
            "HOME" => Some(home.clone()),
            "LP_NATIVE_VECTOR_WIDTH" => Some("128".into()),
            _ => None,
        };
        let found = Lavapipe::found(128, variables);
        assert_eq!(found.vectors(), "128 bits (LP_NATIVE_VECTOR_WIDTH=128)");
        assert_eq!(found.cache(), cache.display().to_string());
        let off = |name: &str| (name == "MESA_SHADER_CACHE_DISABLE").then(|| "true".into());
        let found = Lavapipe::found(256, off);
        assert_eq!(
            [found.vectors(), found.cache()],
            [
                "256 bits (LP_NATIVE_VECTOR_WIDTH is not set)",
                "off (MESA_SHADER_CACHE_DISABLE)"
            ]
        );
        assert_eq!(Lavapipe::found(256, |_| None).cache(), "none yet");
    }
}
