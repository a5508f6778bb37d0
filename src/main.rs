//! The command line of `cnn-gpu`.

mod cli;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    keep_wayland_quiet();
    cli::main()
}

/// Without a desktop session Mesa's Vulkan layer still asks for Wayland, and libwayland then
/// writes to the terminal that there is no `XDG_RUNTIME_DIR`. With one where nothing is, it finds
/// no Wayland and says nothing.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "changes the process's environment")]
fn keep_wayland_quiet() {
    const NAME: &str = "XDG_RUNTIME_DIR";
    if std::env::var_os(NAME).is_none() {
        // SAFETY: the process has no other thread yet that could read the environment.
        unsafe { std::env::set_var(NAME, "/nonexistent") };
    }
}
