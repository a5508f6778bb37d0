//! From a call (text, constants, buffers, grid) to something that can be dispatched.

#![expect(
    unsafe_code,
    reason = "kernels whose loops are known to end are not given a bound by wgpu"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use rayon::prelude::*;
use wgpu::{
    BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry,
    BindingResource, BindingType, Buffer, BufferBinding, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, PipelineCompilationOptions, PipelineLayoutDescriptor,
    ShaderModuleDescriptor, ShaderRuntimeChecks, ShaderSource, ShaderStages, StorageTextureAccess,
    TextureViewDimension,
};

use super::device::{GpuDevice, lock};
use super::lower::Lowered;
use super::software::image_copies::{ROW, Texel, Texels};
use crate::error::{Error, Result};
use crate::model::Activation;

/// What runs on the device in one dispatch, before buffers are known by more than `B`.
#[derive(Clone, Debug)]
pub struct Call<B> {
    /// The kernel's name, which is its entry point.
    pub entry: &'static str,
    /// The WGSL that holds it, without the common part.
    text: String,
    /// `const` and `alias` lines.
    header: String,
    /// Tensors that the text reads through functions.
    declarations: String,
    /// The function that `activate` and `derivative` are.
    activation: Activation,
    /// Invocations per workgroup.
    workgroup: usize,
    /// Invocations wanted.
    invocations: usize,
    /// Buffers, in the order of their bindings.
    pub bindings: Vec<(B, Access)>,
}

/// What a kernel does with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
    /// A copy in an image, of this kind of texel.
    Texels(Texel),
}

impl<B> Call<B> {
    /// A call of `entry` in `text`, for cells of one float.
    pub fn new(entry: &'static str, text: impl Into<String>) -> Self {
        Self {
            entry,
            text: text.into(),
            header: String::new(),
            declarations: String::new(),
            activation: Activation::Linear,
            workgroup: 64,
            invocations: 0,
            bindings: Vec::new(),
        }
        .cells(1)
    }

    /// Handles `width` (1 or 4) floats at a time.
    pub fn cells(mut self, width: usize) -> Self {
        let names = match width {
            4 => ["vec4<f32>", "vec4<u32>", "vec4<bool>"],
            _ => ["f32", "u32", "bool"],
        };
        self.header.clear();
        for (alias, name) in ["Cell", "Words", "Bools"].iter().zip(names) {
            let _ = writeln!(self.header, "alias {alias} = {name};");
        }
        self.header += match width {
            4 => "const LANES = Words(0u, 1u, 2u, 3u);\n",
            _ => "const LANES = 0u;\n",
        };
        self
    }

    /// Adds unsigned constants.
    pub fn sizes(mut self, sizes: &[(&str, usize)]) -> Self {
        for (name, value) in sizes {
            let _ = writeln!(self.header, "const {name} = {value}u;");
        }
        self
    }

    /// Adds float constants. The shortest text that reads back as the same f32 is used.
    pub fn numbers(mut self, numbers: &[(&str, f32)]) -> Self {
        for (name, value) in numbers {
            let _ = writeln!(self.header, "const {name} = f32({value:?});");
        }
        self
    }

    /// Sets the activation; linear otherwise.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Adds a table of floats as the function `name`: one that gives `values[i]` for `i`, and 1
    /// beyond them. It costs nothing where all are 1. Not a `switch`: on lavapipe one of some two
    /// hundred cases took another in place of its default.
    pub fn table(mut self, name: &str, values: &[f32]) -> Self {
        let cases: String = (values.iter().enumerate())
            .filter(|(_, value)| **value != 1.0)
            .map(|(i, value)| format!("value = select(value, f32({value:?}), i == {i}u); "))
            .collect();
        let _ = writeln!(
            self.declarations,
            "fn {name}(i: u32) -> f32 {{ var value = 1.0; {cases}return value; }}"
        );
        self
    }

    /// Sets the invocations per workgroup; 64 otherwise.
    pub fn workgroup(mut self, size: usize) -> Self {
        self.workgroup = size;
        self
    }

    /// Sets how many invocations are needed at least.
    pub fn invocations(mut self, n: usize) -> Self {
        self.invocations = n;
        self
    }

    /// Binds the next buffer, to be read.
    pub fn read(mut self, buffer: B) -> Self {
        self.bindings.push((buffer, Access::Read));
        self
    }

    /// Binds the next buffer, to be written.
    pub fn write(mut self, buffer: B) -> Self {
        self.bindings.push((buffer, Access::Write));
        self
    }

    /// Binds the next buffer, to be read by `load_NAME(i)`, which gives its `i`th `texel`; out of
    /// a copy in an image if `texels`.
    pub fn load(mut self, name: &str, buffer: B, texel: Texel, texels: bool) -> Self {
        let at = self.bindings.len();
        let wgsl = texel.wgsl();
        let _ = match texels {
            true => writeln!(
                self.declarations,
                "@group(1) @binding({at}) var {name}: texture_storage_2d<{}, read>;
fn load_{name}(i: u32) -> {wgsl} {{ return textureLoad({name}, vec2<u32>(i % {ROW}u, i / {ROW}u)){}; }}",
                texel.format_name(),
                texel.swizzle(),
            ),
            false => writeln!(
                self.declarations,
                "@group(1) @binding({at}) var<storage, read> {name}: array<{wgsl}>;
fn load_{name}(i: u32) -> {wgsl} {{ return {name}[i]; }}"
            ),
        };
        let access = match texels {
            true => Access::Texels(texel),
            false => Access::Read,
        };
        self.bindings.push((buffer, access));
        self
    }

    /// Binds the next buffer, to be read by `load_NAME(i)` and written at `NAME[i]`, in Cells of four
    /// floats. An invocation only reads what it writes itself later.
    pub fn update(mut self, name: &str, buffer: B, texels: bool) -> Self
    where
        B: Copy,
    {
        let at = self.bindings.len();
        let _ = writeln!(
            self.declarations,
            "@group(1) @binding({at}) var<storage, read_write> {name}: array<vec4<f32>>;"
        );
        self.bindings.push((buffer, Access::Write));
        if texels {
            return self.load(&format!("{name}_before"), buffer, Texel::floats(4), true);
        }
        let _ = writeln!(
            self.declarations,
            "fn load_{name}_before(i: u32) -> vec4<f32> {{ return {name}[i]; }}"
        );
        self
    }

    /// Bytes of its own WGSL.
    pub fn text_bytes(&self) -> usize {
        self.text.len() + self.declarations.len()
    }

    /// The grid, folded where it passes what one axis can hold.
    fn grid(&self, per_axis: usize) -> [usize; 2] {
        let groups = self.invocations.div_ceil(self.workgroup).max(1);
        let y = groups.div_ceil(per_axis);
        [groups.div_ceil(y), y]
    }

    /// The whole WGSL text.
    pub fn source(&self, per_axis: usize) -> String {
        let [x, _] = self.grid(per_axis);
        let activation = pointwise(self.activation);
        format!(
            "{}const WORKGROUP = {}u;\nconst GRID = {x}u;\n{}
fn activate(x: Cell) -> Cell {{ return activate_{activation}(x); }}
fn derivative(y: Cell) -> Cell {{ return derivative_{activation}(y); }}
{}{}",
            self.header,
            self.workgroup,
            include_str!("../../../shaders/common.wgsl"),
            self.declarations,
            self.text
        )
    }
}

/// How `shaders/common.wgsl` calls an activation. Softmax is never applied cell by cell.
pub fn pointwise(activation: Activation) -> &'static str {
    match activation {
        Activation::Softmax => Activation::Linear.name(),
        other => other.name(),
    }
}

/// A compiled kernel.
pub struct Pipeline {
    pipeline: ComputePipeline,
    layout: BindGroupLayout,
    /// See [`Call::text_bytes`].
    text_bytes: usize,
}

/// A call whose pipeline, buffers and grid are all set.
pub struct Dispatch {
    /// The kernel's name.
    pub entry: &'static str,
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
    /// Copies that have to be made before it.
    pub copies: Vec<Arc<Texels>>,
}

impl Dispatch {
    /// Bytes of the kernel's own WGSL.
    pub fn text_bytes(&self) -> usize {
        self.pipeline.text_bytes
    }

    /// The same of one workgroup.
    pub fn of_one_workgroup(&self) -> Self {
        Self {
            pipeline: Arc::clone(&self.pipeline),
            bind_group: self.bind_group.clone(),
            copies: self.copies.clone(),
            grid: [1, 1],
            ..*self
        }
    }

    /// Adds the dispatch to a pass whose group 0 is set, after its copies.
    pub fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(1, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
}

/// What a binding is bound to.
pub enum Place<'a> {
    /// A buffer, and where the part bound starts and how long it is, in bytes; all if `None`.
    Buffer(&'a Buffer, Option<(u64, u64)>),
    /// A copy in an image, and whether it is out of date when the call runs.
    Texels(Arc<Texels>, bool),
}

impl Place<'_> {
    fn resource(&self) -> BindingResource<'_> {
        match self {
            Self::Buffer(buffer, None) => buffer.as_entire_binding(),
            Self::Buffer(buffer, Some((offset, size))) => BindingResource::Buffer(BufferBinding {
                buffer,
                offset: *offset,
                size: std::num::NonZeroU64::new(*size),
            }),
            Self::Texels(texels, _) => BindingResource::TextureView(&texels.view),
        }
    }
}

impl GpuDevice {
    /// Compiles the call's kernel, unless that was done before, and binds its buffers.
    pub(super) fn prepare<'a, B: Copy>(
        &self,
        call: &Call<B>,
        step_layout: &BindGroupLayout,
        mut place: impl FnMut(B, Access) -> Result<Place<'a>>,
    ) -> Result<Dispatch> {
        let per_axis = self.limits.max_compute_workgroups_per_dimension as usize;
        let grid = call.grid(per_axis);
        if grid[1] > per_axis {
            return Err(Error::Device(format!(
                "{} needs {} invocations, more than the adapter's grid holds; use a smaller batch",
                call.entry, call.invocations
            )));
        }
        let pipeline = self.pipeline(call, step_layout)?;
        let places = call.bindings.iter();
        let places = places.map(|&(buffer, access)| place(buffer, access));
        let places = places.collect::<Result<Vec<_>>>()?;
        let entries: Vec<BindGroupEntry<'_>> = (places.iter().enumerate())
            .map(|(i, place)| BindGroupEntry {
                binding: i as u32,
                resource: place.resource(),
            })
            .collect();
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(call.entry),
            layout: &pipeline.layout,
            entries: &entries,
        });
        self.check()?;
        let stale = places.iter().filter_map(|place| match place {
            Place::Texels(texels, true) => Some(Arc::clone(texels)),
            Place::Texels(_, false) | Place::Buffer(..) => None,
        });
        Ok(Dispatch {
            entry: call.entry,
            pipeline,
            copies: stale.collect(),
            bind_group,
            grid: grid.map(|n| n as u32),
        })
    }

    /// Compiles the kernels of a plan on all cores: drivers of hardware do all of it here, software
    /// adapters a part.
    ///
    /// # Errors
    /// The driver refuses one; then none is kept.
    pub(super) fn compile(&self, lowered: &Lowered, step_layout: &BindGroupLayout) -> Result<()> {
        if self.info.backend == wgpu::Backend::Gl {
            // One thread at a time may use it; they are compiled when they are prepared.
            return Ok(());
        }
        let mut missing = HashMap::new();
        for call in lowered.ops.iter().flatten() {
            let source = self.source(call);
            if !lock(&self.pipelines).contains_key(&source) {
                missing.insert(source, call);
            }
        }
        let made: Vec<_> = (missing.into_par_iter())
            .map(|(source, call)| (self.create_pipeline(call, &source, step_layout), source))
            .collect();
        // An error tells of one of them, and not of which.
        self.check()?;
        let made = made
            .into_iter()
            .map(|(pipeline, source)| (source, pipeline));
        lock(&self.pipelines).extend(made);
        Ok(())
    }

    fn pipeline<B>(&self, call: &Call<B>, step_layout: &BindGroupLayout) -> Result<Arc<Pipeline>> {
        let source = self.source(call);
        if let Some(known) = lock(&self.pipelines).get(&source) {
            return Ok(Arc::clone(known));
        }
        let pipeline = self.create_pipeline(call, &source, step_layout);
        self.check()?;
        lock(&self.pipelines).insert(source, Arc::clone(&pipeline));
        Ok(pipeline)
    }

    /// The call's whole WGSL. Its entry point is the call's, so it also tells kernels apart.
    fn source<B>(&self, call: &Call<B>) -> String {
        let source = call.source(self.limits.max_compute_workgroups_per_dimension as usize);
        #[cfg(test)]
        let source = match &self.mutation {
            Some(mutation) => mutation.apply(call.entry, source),
            None => source,
        };
        format!("// {}\n{source}", call.entry)
    }

    /// Whether that went well [`GpuDevice::check`] tells.
    fn create_pipeline<B>(
        &self,
        call: &Call<B>,
        source: &str,
        step_layout: &BindGroupLayout,
    ) -> Arc<Pipeline> {
        let layout = self.binding_layout(call);
        let module = self.module(call.entry, source);
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&PipelineLayoutDescriptor {
                label: Some(call.entry),
                bind_group_layouts: &[Some(step_layout), Some(&layout)],
                immediate_size: 0,
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(call.entry),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(call.entry),
                compilation_options: PipelineCompilationOptions {
                    // Every kernel writes its workgroup memory before it reads it.
                    zero_initialize_workgroup_memory: false,
                    ..PipelineCompilationOptions::default()
                },
                cache: None,
            });
        Arc::new(Pipeline {
            pipeline,
            layout,
            text_bytes: call.text_bytes(),
        })
    }

    fn module(&self, label: &str, source: &str) -> wgpu::ShaderModule {
        let descriptor = ShaderModuleDescriptor {
            label: Some(label),
            source: ShaderSource::Wgsl(source.into()),
        };
        let mut checks = ShaderRuntimeChecks::checked();
        checks.force_loop_bounding = false;
        // SAFETY: bounds checks stay on; only the guard against endless loops goes, which keeps
        // drivers from unrolling. Every loop of our kernels counts up to a constant, which may have
        // the grid's place along z added, a uniform or a host-made table's entry.
        unsafe { self.device.create_shader_module_trusted(descriptor, checks) }
    }

    fn binding_layout<B>(&self, call: &Call<B>) -> BindGroupLayout {
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
                    Access::Texels(texel) => BindingType::StorageTexture {
                        access: StorageTextureAccess::ReadOnly,
                        format: texel.format(),
                        view_dimension: TextureViewDimension::D2,
                    },
                },
                count: None,
            })
            .collect();
        self.device
            .create_bind_group_layout(&BindGroupLayoutDescriptor {
                label: Some(call.entry),
                entries: &entries,
            })
    }
}
