//! Timing by the adapter's clock, if it has one.

use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePassTimestampWrites, Features,
    QUERY_RESOLVE_BUFFER_ALIGNMENT, QUERY_SET_MAX_QUERIES, QUERY_SIZE, QuerySet,
    QuerySetDescriptor, QueryType,
};

use super::device::GpuDevice;
use crate::error::Result;

/// Timestamps before and after each of several intervals.
pub struct Timer {
    set: QuerySet,
    ticks: Buffer,
    count: u32,
    /// Duration of a tick in seconds.
    tick: f64,
}

impl Timer {
    /// A timer of `count` intervals; `None` if the adapter has no or too few timestamps.
    pub fn new(gpu: &GpuDevice, count: usize) -> Result<Option<Self>> {
        let tick = f64::from(gpu.queue.get_timestamp_period()) / 1e9;
        let has = gpu.device.features().contains(Features::TIMESTAMP_QUERY);
        if !has || tick <= 0.0 || count == 0 || 2 * count > QUERY_SET_MAX_QUERIES as usize {
            return Ok(None);
        }
        let count = count as u32;
        let set = gpu.device.create_query_set(&QuerySetDescriptor {
            label: Some("timer"),
            ty: QueryType::Timestamp,
            count: 2 * count,
        });
        let bytes = u64::from(2 * count * QUERY_SIZE);
        let ticks = gpu.device.create_buffer(&BufferDescriptor {
            label: Some("timer"),
            size: bytes.next_multiple_of(QUERY_RESOLVE_BUFFER_ALIGNMENT),
            usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        gpu.check()?;
        Ok(Some(Self {
            set,
            ticks,
            count,
            tick,
        }))
    }

    /// The timestamps of a pass that begins or ends interval `i`, or both.
    pub fn writes(&self, i: usize, begins: bool, ends: bool) -> ComputePassTimestampWrites<'_> {
        let first = 2 * i as u32;
        ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: begins.then_some(first),
            end_of_pass_write_index: ends.then_some(first + 1),
        }
    }

    /// Records the commands that make the timestamps readable, after all intervals.
    pub fn resolve(&self, encoder: &mut CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..2 * self.count, &self.ticks, 0);
    }

    /// The duration of each interval in seconds, after all submissions so far. Zero if the clock
    /// stands still.
    pub fn seconds(&self, gpu: &GpuDevice) -> Result<Vec<f64>> {
        let bytes = u64::from(2 * self.count * QUERY_SIZE);
        let ticks: Vec<[u64; 2]> =
            bytemuck::pod_collect_to_vec(&gpu.read_back(&self.ticks, 0, bytes)?);
        let lengths = ticks.iter().map(|[from, to]| to.saturating_sub(*from));
        Ok(lengths.map(|n| n as f64 * self.tick).collect())
    }
}
