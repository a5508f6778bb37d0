//! Compiled kernels, cached by their text.

#![expect(
    unsafe_code,
    reason = "kernels whose loops are known to end are not given a bound by wgpu"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType,
    BufferBindingType, ComputePipeline, ComputePipelineDescriptor, Device,
    PipelineCompilationOptions, PipelineLayoutDescriptor, ShaderModuleDescriptor,
    ShaderRuntimeChecks, ShaderSource, ShaderStages, StorageTextureAccess, TextureFormat,
    TextureViewDimension,
};

use super::call::{Access, Call, Vector};
#[cfg(test)]
use super::mutation::Mutation;
use crate::plan::Element;

/// A compiled kernel.
pub struct Pipeline {
    /// The pipeline.
    pub pipeline: ComputePipeline,
    /// Its bindings, which are group 1.
    pub layout: BindGroupLayout,
    /// See [`Call::text_bytes`].
    pub text_bytes: usize,
}

/// The kernels compiled so far, by their text. A clone refers to the same cache.
#[derive(Clone, Default)]
pub struct Pipelines {
    made: Arc<Mutex<HashMap<String, Arc<Pipeline>>>>,
    /// The kernels that the driver is compiling, and since when.
    under_way: Arc<Mutex<Vec<(Instant, &'static str)>>>,
    /// The mutation to apply, in tests.
    #[cfg(test)]
    pub mutation: Option<Mutation>,
}

impl Pipelines {
    /// An empty cache for another device with the same settings.
    pub fn anew(&self) -> Self {
        let mut anew = self.clone();
        anew.made = Arc::default();
        anew
    }

    /// The call's whole WGSL, which also identifies the kernel by its entry point.
    pub fn source<B>(&self, call: &Call<B>, per_axis: usize) -> String {
        let source = call.source(per_axis);
        #[cfg(test)]
        let source = match &self.mutation {
            Some(mutation) => mutation.apply(call.entry, source),
            None => source,
        };
        format!("// {}\n{source}", call.entry)
    }

    /// The kernel with this text, if it is cached.
    pub fn get(&self, source: &str) -> Option<Arc<Pipeline>> {
        lock(&self.made).get(source).map(Arc::clone)
    }

    /// Like [`Pipeline::new`], listed among the kernels being compiled meanwhile.
    pub fn make<B>(
        &self,
        device: &Device,
        call: &Call<B>,
        source: &str,
        step_layout: &BindGroupLayout,
    ) -> Arc<Pipeline> {
        let begun = (Instant::now(), call.entry);
        lock(&self.under_way).push(begun);
        let pipeline = Pipeline::new(device, call, source, step_layout);
        let mut under_way = lock(&self.under_way);
        if let Some(at) = under_way.iter().position(|other| *other == begun) {
            under_way.swap_remove(at);
        }
        pipeline
    }

    /// The kernel that has been compiling for longest, and for how long.
    pub fn compiling(&self) -> Option<(&'static str, Duration)> {
        let under_way = lock(&self.under_way);
        let (since, entry) = under_way.iter().min_by_key(|(since, _)| *since)?;
        Some((entry, since.elapsed()))
    }

    /// Adds kernels to the cache.
    pub fn extend(&self, made: impl IntoIterator<Item = (String, Arc<Pipeline>)>) {
        lock(&self.made).extend(made);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Map and list stay valid even if another thread panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipeline {
    /// Compiles `source`, the text of `call`. Failures are reported as errors of the device.
    fn new<B>(
        device: &Device,
        call: &Call<B>,
        source: &str,
        step_layout: &BindGroupLayout,
    ) -> Arc<Self> {
        let layout = binding_layout(device, call);
        let module = module(device, call.entry, source);
        let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label: Some(call.entry),
            bind_group_layouts: &[Some(step_layout), Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(call.entry),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(call.entry),
            compilation_options: PipelineCompilationOptions {
                // All kernels write workgroup memory before reading it.
                zero_initialize_workgroup_memory: false,
                ..PipelineCompilationOptions::default()
            },
            cache: None,
        });
        Arc::new(Self {
            pipeline,
            layout,
            text_bytes: call.text_bytes(),
        })
    }
}

fn module(device: &Device, label: &str, source: &str) -> wgpu::ShaderModule {
    let descriptor = ShaderModuleDescriptor {
        label: Some(label),
        source: ShaderSource::Wgsl(source.into()),
    };
    let mut checks = ShaderRuntimeChecks::checked();
    checks.force_loop_bounding = false;
    // SAFETY: bounds checks stay on. Only the loop bound goes, which keeps drivers from unrolling.
    // Every loop of our kernels counts up to a constant, possibly plus the grid's index along z, a
    // uniform, or an entry of a table made by the host.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}

fn binding_layout<B>(device: &Device, call: &Call<B>) -> BindGroupLayout {
    let entries: Vec<BindGroupLayoutEntry> = (call.bindings.iter().enumerate())
        .map(|(i, (_, access))| BindGroupLayoutEntry {
            binding: i as u32,
            visibility: ShaderStages::COMPUTE,
            ty: match access {
                Access::Read | Access::Write => BindingType::Buffer {
                    ty: BufferBindingType::Storage {
                        read_only: *access == Access::Read,
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                Access::Image(vector) => BindingType::StorageTexture {
                    access: StorageTextureAccess::ReadOnly,
                    format: vector.format(),
                    view_dimension: TextureViewDimension::D2,
                },
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&BindGroupLayoutDescriptor {
        label: Some(call.entry),
        entries: &entries,
    })
}

impl Vector {
    /// The format of its image copies.
    pub fn format(self) -> TextureFormat {
        match (self.element, self.width) {
            (Element::F32, 4) => TextureFormat::Rgba32Float,
            (Element::F32, _) => TextureFormat::R32Float,
            (Element::U32, 4) => TextureFormat::Rgba32Uint,
            (Element::U32, _) => TextureFormat::R32Uint,
        }
    }
}
