//! The shader compiler of DirectX 12.
//!
//! On DirectX 12, wgpu translates kernels to HLSL, which DXC or FXC compiles. DXC is the maintained
//! one. It is linked in with the cargo feature `static-dxc` (x86 with MSVC only); otherwise it is
//! loaded from `dxcompiler.dll`. FXC comes with Windows, but is slow on unrolled loops such as
//! those of tiled kernels, and does not support subgroups.

use std::sync::OnceLock;

use wgpu::Dx12Compiler;

/// The warning for FXC.
const SLOW: &str = "kernels are compiled by FXC, which takes long: no dxcompiler.dll that works was \
                    found; put that of DirectXShaderCompiler 1.8.2502 or later beside the program \
                    or into a folder of PATH, or build with the cargo feature `static-dxc`";

/// Whether DXC is linked in.
const LINKED: bool = cfg!(all(
    feature = "static-dxc",
    windows,
    target_env = "msvc",
    not(target_arch = "aarch64")
));

/// The compiler, chosen once per process.
pub(super) fn compiler() -> Dx12Compiler {
    static CHOSEN: OnceLock<Dx12Compiler> = OnceLock::new();
    CHOSEN
        .get_or_init(|| choose(LINKED, finds_adapters))
        .clone()
}

/// Why kernels take long to compile with this backend, if they do.
pub(super) fn slow_compiler(backend: wgpu::Backend) -> Option<&'static str> {
    (backend == wgpu::Backend::Dx12)
        .then(compiler)
        .and_then(|compiler| warning(&compiler))
}

fn warning(compiler: &Dx12Compiler) -> Option<&'static str> {
    matches!(compiler, Dx12Compiler::Fxc).then_some(SLOW)
}

/// DXC if it is linked in, otherwise the library if it works, otherwise FXC.
fn choose(linked: bool, works: impl Fn(&Dx12Compiler) -> bool) -> Dx12Compiler {
    if linked {
        return Dx12Compiler::StaticDxc;
    }
    let library = Dx12Compiler::default_dynamic_dxc();
    if works(&library) {
        library
    } else {
        Dx12Compiler::Fxc
    }
}

/// Whether any adapter can be used with this compiler. None can if the library is missing or older
/// than wgpu requires, or if no adapter supports the shader models of DXC.
fn finds_adapters(compiler: &Dx12Compiler) -> bool {
    // Other systems have no DirectX 12.
    cfg!(windows) && {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::DX12;
        descriptor.flags = wgpu::InstanceFlags::empty();
        descriptor.backend_options.dx12.shader_compiler = compiler.clone();
        let instance = wgpu::Instance::new(descriptor);
        let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::DX12));
        !found.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dxc_is_taken_where_it_works_and_fxc_comes_with_a_warning() {
        let linked = choose(true, |_| false);
        assert!(matches!(linked, Dx12Compiler::StaticDxc));
        let library = choose(false, |compiler| {
            matches!(compiler, Dx12Compiler::DynamicDxc { .. })
        });
        let Dx12Compiler::DynamicDxc { dxc_path } = &library else {
            panic!("{library:?}")
        };
        assert_eq!(dxc_path, "dxcompiler.dll");
        let fallback = choose(false, |_| false);
        assert!(matches!(fallback, Dx12Compiler::Fxc));
        assert_eq!([&linked, &library].map(warning), [None, None]);
        assert!(warning(&fallback).is_some_and(|why| why.contains("dxcompiler.dll")));
    }

    #[test]
    fn other_backends_have_no_slow_compiler() {
        assert_eq!(slow_compiler(wgpu::Backend::Vulkan), None);
    }
}
