//! A plan's buffers and dispatches as data, for hosts other than this one: what `program` prepares
//! on a device, without a device.
//!
//! The host loads each batch into the buffers of images and labels itself, in order.

use super::call::{Access, Call};
use super::lower::{Lowered, LoweringMode, reduce};
use super::operand::{Operand, OperandRange};
use super::program::bound;
use super::steps::METRICS_BYTES;
use super::tuning::{PLAIN, Tuning};
use super::variants::variants;
use crate::error::{Error, Result};
use crate::memory;
use crate::plan::{BufferId, Plan};

/// A recorded plan.
pub struct Recording {
    /// The buffers that its dispatches bind.
    pub buffers: Vec<RecordedBuffer>,
    /// The dispatches of a step, in order.
    pub dispatches: Vec<RecordedDispatch>,
}

/// A buffer to create.
pub struct RecordedBuffer {
    /// The operand that binds it from its start.
    pub operand: Operand,
    /// A name that is unique in the recording.
    pub name: String,
    /// Size in bytes, a multiple of 16.
    pub bytes: u64,
    /// Its first words; the rest are zeros.
    pub words: Vec<u32>,
}

/// A call with its buffers and grid.
pub struct RecordedDispatch {
    /// The kernel's entry point.
    pub entry: &'static str,
    /// The pieces of the kernel's text, in order.
    pub pieces: [String; 4],
    /// Number of workgroups along x and y.
    pub grid: [usize; 2],
    /// Its bindings, in order.
    pub bindings: Vec<RecordedBinding>,
}

/// A part of a buffer.
pub struct RecordedBinding {
    /// Index of the buffer in the recording.
    pub buffer: usize,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Whether the kernel writes it.
    pub writes: bool,
}

/// The texts of all kernels that a plan's steps and single operations run, in every variant.
pub fn kernel_texts(plan: &Plan) -> Vec<String> {
    let per_axis = wgpu::Limits::default().max_compute_workgroups_per_dimension as usize;
    let mut texts = Vec::new();
    for (_, variant) in variants() {
        let images = [false, variant.image_copies];
        let tunings = images.map(|image_copies| Tuning {
            image_copies,
            ..variant
        });
        for tuning in tunings {
            for mode in [LoweringMode::Alone, LoweringMode::Step] {
                let lowered = Lowered::new(plan, &tuning, mode);
                let pending = lowered.pending.iter().filter(|blocks| !blocks.is_empty());
                let sums = pending.map(|blocks| reduce(&tuning, blocks.clone()));
                let calls = lowered.ops.iter().flatten().cloned().chain(sums);
                texts.extend(calls.map(|call| call.source(per_axis)));
            }
        }
    }
    texts
}

/// The plan and its memory while its calls are recorded.
struct Recorded<'a> {
    plan: &'a Plan,
    lowered: &'a Lowered,
    limits: wgpu::Limits,
    recording: Recording,
}

impl Recording {
    /// Records a step for any adapter with WebGPU's default limits, with GPUs' kernels. If `alone`,
    /// operations are not fused, so that every tensor is written, and kernels are the plain ones:
    /// their texts are short, so that browsers compile them fast, and a single image takes little
    /// time with any.
    ///
    /// # Errors
    /// A buffer or a grid exceeds these limits.
    pub fn new(plan: &Plan, alone: bool) -> Result<Self> {
        let plain = Tuning {
            algorithm: Some(PLAIN),
            ..Tuning::HARDWARE
        };
        let (tuning, mode) = match alone {
            true => (plain, LoweringMode::Alone),
            false => (Tuning::HARDWARE, LoweringMode::Step),
        };
        let lowered = Lowered::new(plan, &tuning, mode);
        let mut recorded = Recorded {
            plan,
            lowered: &lowered,
            limits: wgpu::Limits::default(),
            recording: Self {
                buffers: Vec::new(),
                dispatches: Vec::new(),
            },
        };
        for id in bound(plan, &lowered) {
            recorded.buffer(Operand::Buffer(id))?;
        }
        for call in lowered.ops.iter().flatten() {
            recorded.dispatch(call)?;
        }
        Ok(recorded.recording)
    }

    /// The index of the buffer of a tensor.
    pub fn tensor(&self, id: BufferId) -> Option<usize> {
        self.find(Operand::Buffer(id))
    }

    /// The index of the buffer of the batch's images.
    pub fn images(&self) -> Option<usize> {
        self.find(Operand::Images(0))
    }

    /// The index of the buffer of the batch's labels.
    pub fn labels(&self) -> Option<usize> {
        self.find(Operand::DataLabels)
    }

    /// The index of the buffer of the step's metrics.
    pub fn metrics(&self) -> Option<usize> {
        self.find(Operand::Metrics)
    }

    fn find(&self, operand: Operand) -> Option<usize> {
        self.buffers.iter().position(|b| b.operand == operand)
    }
}

impl RecordedBuffer {
    /// The tensor of the plan that it holds, if it holds one.
    pub fn tensor(&self) -> Option<BufferId> {
        match self.operand {
            Operand::Buffer(id) => Some(id),
            _ => None,
        }
    }

    /// Whether it is the arena of the weights, or starts as a copy of it.
    pub fn starts_as_weights(&self) -> bool {
        matches!(self.operand, Operand::Params | Operand::Average)
    }

    /// Whether all plans of a model share it.
    pub fn is_shared(&self) -> bool {
        matches!(
            self.operand,
            Operand::Params
                | Operand::Gradients
                | Operand::Moment1
                | Operand::Moment2
                | Operand::Average
        )
    }
}

impl Recorded<'_> {
    fn dispatch(&mut self, call: &Call<Operand>) -> Result<()> {
        let per_axis = self.limits.max_compute_workgroups_per_dimension as usize;
        let grid = call.grid(per_axis);
        let most = self.limits.max_storage_buffers_per_shader_stage as usize;
        if grid[1] > per_axis || call.bindings.len() > most {
            return Err(Error::device(format!(
                "{} needs {} invocations and {} buffers, more than WebGPU guarantees; use a smaller batch",
                call.entry,
                call.wanted(),
                call.bindings.len()
            )));
        }
        let bindings = call.bindings.iter();
        let bindings = bindings.map(|&(operand, access)| self.binding(operand, access));
        let bindings = bindings.collect::<Result<_>>()?;
        self.recording.dispatches.push(RecordedDispatch {
            entry: call.entry,
            pieces: call.pieces(per_axis),
            grid,
            bindings,
        });
        Ok(())
    }

    fn binding(&mut self, operand: Operand, access: Access) -> Result<RecordedBinding> {
        let OperandRange {
            whole,
            start,
            bytes,
        } = operand.range(self.plan);
        let buffer = self.buffer(whole)?;
        let size = self.recording.buffers[buffer].bytes - start;
        Ok(RecordedBinding {
            buffer,
            offset: start,
            size: bytes.unwrap_or(size),
            writes: match access {
                Access::Read => false,
                Access::Write => true,
                Access::Image(_) => return Err(Error::device("a recording has no images")),
            },
        })
    }

    /// The index of a buffer, added at first use.
    fn buffer(&mut self, operand: Operand) -> Result<usize> {
        if let Some(found) = self.recording.find(operand) {
            return Ok(found);
        }
        let (name, bytes, words) = self.contents(operand);
        let bytes = bytes.max(16).next_multiple_of(16);
        let most = self.limits.max_storage_buffer_binding_size;
        if bytes > most {
            return Err(Error::TooLarge {
                needs: format!("buffer `{name}` would take {}", memory::in_words(bytes)),
                allows: format!("WebGPU guarantees {}", memory::in_words(most)),
                fits: "use a smaller batch".into(),
                largest_batch: None,
            });
        }
        self.recording.buffers.push(RecordedBuffer {
            operand,
            name,
            bytes,
            words,
        });
        Ok(self.recording.buffers.len() - 1)
    }

    /// The name of a buffer, its size in bytes, and its first words.
    fn contents(&self, operand: Operand) -> (String, u64, Vec<u32>) {
        let Self { plan, lowered, .. } = self;
        let arena = 4 * plan.layout.len as u64;
        let image: usize = plan.input_shape.iter().product();
        let zeros = |name: &str, bytes| (name.to_owned(), bytes, Vec::new());
        let filled = |name: &str, words: Vec<u32>| (name.to_owned(), 4 * words.len() as u64, words);
        match operand {
            Operand::Buffer(id) => {
                let tensor = plan.buffer(id);
                zeros(&tensor.name, 4 * tensor.len() as u64)
            }
            Operand::Params => zeros("parameters", arena),
            Operand::Gradients => zeros("gradients", arena),
            Operand::Moment1 => zeros("first moments", arena),
            Operand::Moment2 => zeros("second moments", arena),
            Operand::Average => zeros("average of the weights", arena),
            Operand::Partials(_) => zeros("partial sums", 4 * lowered.partials as u64),
            Operand::Blocks => filled("blocks", bytemuck::cast_slice(&lowered.blocks).to_vec()),
            Operand::Arena => {
                let blocks = lowered.arena(plan);
                filled(
                    "blocks of the arena",
                    bytemuck::cast_slice(&blocks).to_vec(),
                )
            }
            Operand::Metrics => zeros("metrics", METRICS_BYTES),
            Operand::Nothing => zeros("nothing", 16),
            Operand::Images(_) => zeros("images", (plan.batch * image) as u64),
            Operand::DataLabels => zeros("label bytes", plan.batch as u64),
            Operand::Order => filled("order", (0..plan.batch as u32).collect()),
        }
    }
}
