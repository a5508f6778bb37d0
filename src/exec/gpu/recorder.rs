//! Dispatches and the copies before them, in a row.

use wgpu::{
    CommandBuffer, CommandEncoder, ComputePass, ComputePassDescriptor, ComputePassTimestampWrites,
};

use super::device::GpuDevice;
use super::dispatch::Dispatch;
use super::steps::Steps;
use super::timer::Timer;

/// Records dispatches. They share a pass for as long as no copy has to come between.
pub struct Recorder<'a> {
    steps: &'a Steps,
    slot: usize,
    // Declared before the encoder, so that it is dropped, and with that ended, first.
    pass: Option<ComputePass<'static>>,
    encoder: CommandEncoder,
}

impl<'a> Recorder<'a> {
    /// Starts with the values of the first slot.
    pub fn new(gpu: &GpuDevice, steps: &'a Steps) -> Self {
        Self {
            steps,
            slot: 0,
            pass: None,
            encoder: gpu.device.create_command_encoder(&Default::default()),
        }
    }

    /// Makes slot `slot` the one that the following dispatches see.
    pub fn select(&mut self, slot: usize) {
        if self.slot == slot {
            return;
        }
        self.slot = slot;
        if let Some(pass) = &mut self.pass {
            self.steps.select(pass, slot);
        }
    }

    /// Adds a dispatch, after its copies.
    pub fn dispatch(&mut self, dispatch: &Dispatch) {
        self.copy(dispatch);
        dispatch.encode(self.pass(None));
    }

    /// Adds a dispatch as interval `i` of a timer, with its copies.
    pub fn timed(&mut self, dispatch: &Dispatch, timer: &Timer, i: usize) {
        self.pass = None;
        // Copies have no timestamps of their own: an empty pass stands before them.
        let copies = !dispatch.copies.is_empty();
        if copies {
            self.pass(Some(timer.writes(i, true, false)));
        }
        self.copy(dispatch);
        dispatch.encode(self.pass(Some(timer.writes(i, !copies, true))));
        self.pass = None;
    }

    /// The copies before a dispatch, outside of any pass.
    fn copy(&mut self, dispatch: &Dispatch) {
        if !dispatch.copies.is_empty() {
            self.pass = None;
            for copy in &dispatch.copies {
                copy.copy(&mut self.encoder);
            }
        }
    }

    /// The pass under way, or a new one.
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

    /// What was recorded, after `last`.
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
