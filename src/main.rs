//! The command line of `cnn-gpu`.

mod cli;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    keep_wayland_quiet();
    cli::main()
}

/// Without a desktop session Mesa's Vulkan layer still asks for Wayland, and libwayland then
/// writes to the terminal that there is no `XDG_RUNTIME_DIR`. With one where nothing is, it finds
/// no Wayland and says nothing. A process cannot safely change its own environment, so it begins
/// anew, as the same process, with another.
#[cfg(target_os = "linux")]
fn keep_wayland_quiet() {
    use std::env;
    use std::os::unix::process::CommandExt as _;
    const NAME: &str = "XDG_RUNTIME_DIR";
    let (None, Ok(program)) = (env::var_os(NAME), env::current_exe()) else {
        return;
    };
    let mut args = env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    // It comes back only if it fails, and then there is no more than a line too many.
    let _ = again.args(args).env(NAME, "/nonexistent").exec();
}
