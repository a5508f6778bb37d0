//! The command line of `cnn-gpu`.

mod cli;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    keep_wayland_quiet();
    cli::main()
}

/// Sets `XDG_RUNTIME_DIR` if it is missing. Mesa's Vulkan layer looks for Wayland even without a
/// desktop session, and libwayland complains on the terminal if the variable is not set. A path
/// that does not exist silences it.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "changes the process's environment")]
fn keep_wayland_quiet() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if std::env::var_os(NAME).is_none() {
        // SAFETY: no other thread exists yet that could read the environment.
        unsafe { std::env::set_var(NAME, "/nonexistent") };
    }
}
