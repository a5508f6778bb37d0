//! Recording of dispatches and the copies before them.

use wgpu::{
    CommandBuffer, CommandEncoder, ComputePass, ComputePassDescriptor, ComputePassTimestampWrites,
};

use super::device::GpuDevice;
use super::dispatch::Dispatch;
use super::steps::Steps;
use super::timer::Timer;

/// Records dispatches, which share a pass until a copy comes in between.
pub struct Recorder<'a> {
    steps: &'a Steps,
    slot: usize,
    // Declared before the encoder, so that it is dropped, and thereby ended, first.
    pass: Option<ComputePass<'static>>,
    encoder: CommandEncoder,
}

impl<'a> Recorder<'a> {
    /// A recorder that uses the first slot.
    pub fn new(gpu: &GpuDevice, steps: &'a Steps) -> Self {
        Self {
            steps,
            slot: 0,
            pass: None,
            encoder: gpu.device.create_command_encoder(&Default::default()),
        }
    }

    /// Sets the slot of the following dispatches.
    pub fn select(&mut self, slot: usize) {
        if self.slot == slot {
            return;
        }
        self.slot = slot;
        if let Some(pass) = &mut self.pass {
            self.steps.select(pass, slot);
        }
    }

    /// Records a dispatch, after its copies.
    pub fn dispatch(&mut self, dispatch: &Dispatch) {
        self.copy(dispatch);
        dispatch.encode(self.pass(None));
    }

    /// Records a dispatch as interval `i` of a timer, including its copies.
    pub fn timed(&mut self, dispatch: &Dispatch, timer: &Timer, i: usize) {
        self.pass = None;
        // Copies have no timestamps: an empty pass before them writes the first.
        let copies = !dispatch.copies.is_empty();
        if copies {
            self.pass(Some(timer.writes(i, true, false)));
        }
        self.copy(dispatch);
        dispatch.encode(self.pass(Some(timer.writes(i, !copies, true))));
        self.pass = None;
    }

    /// Records the copies before a dispatch, outside any pass.
    fn copy(&mut self, dispatch: &Dispatch) {
        if !dispatch.copies.is_empty() {
            self.pass = None;
            for copy in &dispatch.copies {
                copy.copy(&mut self.encoder);
            }
        }
    }

    /// The open pass, or a new one.
    fn pass(
        &mut self,
        timestamp_writes: Option<ComputePassTimestampWrites<'_>>,
    ) -> &mut ComputePass<'static> {
        let Self {
            steps,
            slot,
            pass,
            encoder,
        } = self;
        pass.get_or_insert_with(|| {
            let descriptor = ComputePassDescriptor {
                label: Some("steps"),
                timestamp_writes,
            };
            let mut pass = encoder.begin_compute_pass(&descriptor).forget_lifetime();
            steps.select(&mut pass, *slot);
            pass
        })
    }

    /// Records the commands of `last` and finishes.
    pub fn finish(mut self, last: impl FnOnce(&mut CommandEncoder)) -> CommandBuffer {
        self.pass = None;
        last(&mut self.encoder);
        self.encoder.finish()
    }
}

impl GpuDevice {
    /// Submits some dispatches with the values of the first slot.
    pub(super) fn submit_now<'a>(
        &self,
        steps: &Steps,
        dispatches: impl Iterator<Item = &'a Dispatch>,
    ) {
        let mut recorder = Recorder::new(self, steps);
        for dispatch in dispatches {
            recorder.dispatch(dispatch);
        }
        self.queue.submit([recorder.finish(|_| {})]);
    }
}
