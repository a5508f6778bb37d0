//! Prepared calls: kernel compiled, buffers bound, grid known.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use rayon::prelude::*;
use wgpu::{BindGroup, BindGroupEntry, BindGroupLayout, BindingResource, Buffer, BufferBinding};

use super::call::{Access, Call};
use super::device::GpuDevice;
use super::pipeline::Pipeline;
use super::software::image_copies::ImageCopy;
use crate::error::{Error, Result};

/// A call with its pipeline, buffers and grid.
pub struct Dispatch {
    /// The kernel's name.
    pub entry: &'static str,
    pipeline: Arc<Pipeline>,
    bind_group: BindGroup,
    grid: [u32; 2],
    /// Image copies to refresh before it runs.
    pub copies: Vec<Arc<ImageCopy>>,
}

impl Dispatch {
    /// Size in bytes of the kernel's own WGSL.
    pub fn text_bytes(&self) -> usize {
        self.pipeline.text_bytes
    }

    /// The same dispatch with a single workgroup.
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

/// The resource behind a binding.
pub enum Resource<'a> {
    /// A buffer, with the start and size in bytes of the bound part; the whole buffer if
    /// `None`.
    Buffer(&'a Buffer, Option<(u64, u64)>),
    /// An image copy, and whether it is stale when the call runs.
    Image(Arc<ImageCopy>, bool),
}

impl Resource<'_> {
    fn bound(&self) -> BindingResource<'_> {
        match self {
            Self::Buffer(buffer, None) => buffer.as_entire_binding(),
            Self::Buffer(buffer, Some((offset, size))) => BindingResource::Buffer(BufferBinding {
                buffer,
                offset: *offset,
                size: NonZeroU64::new(*size),
            }),
            Self::Image(copy, _) => BindingResource::TextureView(&copy.view),
        }
    }
}

impl GpuDevice {
    /// Compiles the call's kernel unless it is cached, and binds its buffers.
    pub(super) fn prepare<'a, B: Copy>(
        &self,
        call: &Call<B>,
        step_layout: &BindGroupLayout,
        mut resource: impl FnMut(B, Access) -> Result<Resource<'a>>,
    ) -> Result<Dispatch> {
        let grid = call.grid(self.groups_per_axis());
        if grid[1] > self.groups_per_axis() {
            return Err(Error::device(format!(
                "{} needs {} invocations, more than the adapter's grid holds; use a smaller batch",
                call.entry,
                call.wanted()
            )));
        }
        let pipeline = self.pipeline(call, step_layout)?;
        let resources = call.bindings.iter();
        let resources = resources.map(|&(buffer, access)| resource(buffer, access));
        let resources = resources.collect::<Result<Vec<_>>>()?;
        let entries: Vec<BindGroupEntry<'_>> = (resources.iter().enumerate())
            .map(|(i, resource)| BindGroupEntry {
                binding: i as u32,
                resource: resource.bound(),
            })
            .collect();
        let bind_group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(call.entry),
            layout: &pipeline.layout,
            entries: &entries,
        });
        self.check()?;
        let stale = resources.iter().filter_map(|resource| match resource {
            Resource::Image(copy, true) => Some(Arc::clone(copy)),
            Resource::Image(_, false) | Resource::Buffer(..) => None,
        });
        Ok(Dispatch {
            entry: call.entry,
            pipeline,
            copies: stale.collect(),
            bind_group,
            grid: grid.map(|n| n as u32),
        })
    }

    /// Compiles the kernels of some calls on all cores. Drivers of hardware do all compilation
    /// here, software adapters only part of it.
    ///
    /// # Errors
    /// The driver refuses one of them; none is kept then.
    pub(super) fn compile<'a, B: Sync + 'a>(
        &self,
        calls: impl Iterator<Item = &'a Call<B>>,
        step_layout: &BindGroupLayout,
    ) -> Result<()> {
        if self.info.backend == wgpu::Backend::Gl {
            // OpenGL serves one thread at a time: kernels are compiled when prepared.
            return Ok(());
        }
        let mut missing = HashMap::new();
        for call in calls {
            let source = self.pipelines.source(call, self.groups_per_axis());
            if self.pipelines.get(&source).is_none() {
                missing.insert(source, call);
            }
        }
        let made: Vec<_> = (missing.into_par_iter())
            .map(|(source, call)| {
                let pipeline = self
                    .pipelines
                    .make(&self.device, call, &source, step_layout);
                (source, pipeline)
            })
            .collect();
        // The device's error does not name the kernel.
        self.check()?;
        self.pipelines.extend(made);
        Ok(())
    }

    fn pipeline<B>(&self, call: &Call<B>, step_layout: &BindGroupLayout) -> Result<Arc<Pipeline>> {
        let source = self.pipelines.source(call, self.groups_per_axis());
        if let Some(known) = self.pipelines.get(&source) {
            return Ok(known);
        }
        let pipeline = self
            .pipelines
            .make(&self.device, call, &source, step_layout);
        self.check()?;
        self.pipelines.extend([(source, Arc::clone(&pipeline))]);
        Ok(pipeline)
    }

    fn groups_per_axis(&self) -> usize {
        self.limits.max_compute_workgroups_per_dimension as usize
    }
}
