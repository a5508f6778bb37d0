//! Runs the programs of `plan.json` through wgpu as a browser would: strictly by WebGPU's rules and
//! within its default limits.

use std::collections::HashMap;

use serde_json::Value;
use wgpu::util::DeviceExt as _;

/// A site's plan on a device.
pub struct Replay {
    device: wgpu::Device,
    queue: wgpu::Queue,
    plan: Value,
    buffers: Vec<wgpu::Buffer>,
    step: wgpu::Buffer,
    pipelines: HashMap<usize, wgpu::ComputePipeline>,
}

/// The values of a step: rows, rates and key.
#[derive(Clone, Copy, Default)]
pub struct StepValues {
    pub rows: u32,
    pub rates: [f32; 3],
    pub key: [u32; 2],
}

fn device() -> (wgpu::Device, wgpu::Queue) {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.flags = wgpu::InstanceFlags::STRICT_WEBGPU_COMPLIANCE;
    let instance = wgpu::Instance::new(descriptor);
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()))
        .unwrap_or_else(|e| panic!("this test needs an adapter, such as lavapipe: {e}"));
    let asked = wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits::default(),
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&asked)).unwrap()
}

pub fn index(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

impl Replay {
    /// Creates the buffers; `weights` fills the arenas that start as weights.
    pub fn new(plan: &str, weights: &[f32]) -> Self {
        let plan: Value = serde_json::from_str(plan).unwrap();
        let (device, queue) = device();
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        let made = list(&plan["buffers"]).iter().map(|buffer| {
            let mut contents = vec![0u8; index(&buffer["bytes"])];
            let init: Vec<u8> = match &buffer["init"] {
                Value::String(init) if init == "weights" => bytemuck::cast_slice(weights).to_vec(),
                Value::String(_) => Vec::new(),
                words => {
                    let words: Vec<u32> = serde_json::from_value(words.clone()).unwrap();
                    bytemuck::cast_slice(&words).to_vec()
                }
            };
            contents[..init.len()].copy_from_slice(&init);
            device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: buffer["name"].as_str(),
                contents: &contents,
                usage,
            })
        });
        let buffers = made.collect();
        let step = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("step"),
            size: index(&plan["step"]["bytes"]) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self {
            device,
            queue,
            plan,
            buffers,
            step,
            pipelines: HashMap::new(),
        }
    }

    /// Runs a step of a program on a batch.
    pub fn run(&mut self, program: &str, (images, labels): (&[u8], &[u8]), values: StepValues) {
        let program = self.plan["programs"][program].clone();
        for (name, bytes) in [("images", images), ("labels", labels)] {
            let mut whole = bytes.to_vec();
            whole.resize(bytes.len().next_multiple_of(4), 0);
            let buffer = &self.buffers[index(&program[name])];
            self.queue.write_buffer(buffer, 0, &whole);
        }
        self.write_step(values);
        let dispatches = list(&program["dispatches"]);
        for dispatch in dispatches {
            self.compile(index(&dispatch["kernel"]));
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for dispatch in dispatches {
            let pipeline = &self.pipelines[&index(&dispatch["kernel"])];
            let step = self.group(pipeline, 0, &[self.step.as_entire_binding()]);
            let bindings = list(&dispatch["bindings"]).iter().map(|binding| {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &self.buffers[index(&binding["buffer"])],
                    offset: index(&binding["offset"]) as u64,
                    size: std::num::NonZeroU64::new(index(&binding["size"]) as u64),
                })
            });
            let group = self.group(pipeline, 1, &bindings.collect::<Vec<_>>());
            let grid = list(&dispatch["grid"]).iter().map(index);
            let grid: Vec<u32> = grid.map(|n| n as u32).collect();
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &step, &[]);
            pass.set_bind_group(1, &group, &[]);
            pass.dispatch_workgroups(grid[0], grid[1], 1);
        }
        drop(pass);
        self.queue.submit([encoder.finish()]);
    }

    /// The contents of a buffer.
    pub fn read(&self, buffer: usize) -> Vec<f32> {
        let buffer = &self.buffers[buffer];
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .unwrap();
        let view = staging.get_mapped_range(..).unwrap();
        bytemuck::pod_collect_to_vec(&view)
    }

    /// The arena of the weights.
    pub fn weights(&self) -> Vec<f32> {
        let mut buffers = list(&self.plan["buffers"]).iter();
        self.read(buffers.position(|b| b["init"] == "weights").unwrap())
    }

    fn group(
        &self,
        pipeline: &wgpu::ComputePipeline,
        group: u32,
        resources: &[wgpu::BindingResource<'_>],
    ) -> wgpu::BindGroup {
        let entries = resources.iter().enumerate();
        let entries: Vec<_> = entries
            .map(|(i, resource)| wgpu::BindGroupEntry {
                binding: i as u32,
                resource: resource.clone(),
            })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(group),
            entries: &entries,
        })
    }

    /// Compiles a kernel with the layout that the page states.
    fn compile(&mut self, kernel: usize) {
        if self.pipelines.contains_key(&kernel) {
            return;
        }
        let described = &self.plan["kernels"][kernel];
        let texts = list(&described["texts"]).iter();
        let texts = texts.map(|i| self.plan["texts"][index(i)].as_str().unwrap());
        let text = texts.collect::<String>();
        let storage = |written: &Value| wgpu::BufferBindingType::Storage {
            read_only: !written.as_bool().unwrap(),
        };
        let writes = list(&described["writes"]).iter().map(storage);
        let layouts = [vec![wgpu::BufferBindingType::Uniform], writes.collect()];
        let layouts = layouts.map(|types| self.layout(&types));
        let layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layouts[0]), Some(&layouts[1])],
                immediate_size: 0,
            });
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: described["entry"].as_str(),
                source: wgpu::ShaderSource::Wgsl(text.into()),
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: described["entry"].as_str(),
                layout: Some(&layout),
                module: &module,
                entry_point: described["entry"].as_str(),
                compilation_options: Default::default(),
                cache: None,
            });
        self.pipelines.insert(kernel, pipeline);
    }

    fn layout(&self, types: &[wgpu::BufferBindingType]) -> wgpu::BindGroupLayout {
        let entries = types.iter().enumerate();
        let entries: Vec<_> = entries
            .map(|(i, ty)| wgpu::BindGroupLayoutEntry {
                binding: i as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: *ty,
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        self.device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: None,
                entries: &entries,
            })
    }

    fn write_step(&self, values: StepValues) {
        let mut bytes = vec![0u8; index(&self.plan["step"]["bytes"])];
        let [rate, decay, keep] = values.rates.map(f32::to_bits);
        for field in list(&self.plan["step"]["fields"]) {
            let words = match field["name"].as_str().unwrap() {
                "rows" | "batch_rows" => vec![values.rows],
                "rate" => vec![rate],
                "decay" => vec![decay],
                "keep" => vec![keep],
                "key" => values.key.to_vec(),
                _ => vec![0],
            };
            let at = index(&field["at"]);
            let words = bytemuck::cast_slice(&words);
            bytes[at..][..words.len()].copy_from_slice(words);
        }
        self.queue.write_buffer(&self.step, 0, &bytes);
    }
}
