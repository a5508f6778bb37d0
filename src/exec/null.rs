//! An executor without arithmetic, whose metrics come from a script: for tests of the trainer and
//! its callbacks.

use std::collections::VecDeque;
use std::ops::Range;

use super::{DataId, Description, Executor, Inspect, Program, Step, StepMetrics, Values, loaded};
use crate::data::Dataset;
use crate::error::Result;
use crate::plan::{BufferId, Element, Plan};
use crate::state::State;

/// Accepts every step and returns metrics from a script.
#[derive(Default)]
pub struct NullExecutor {
    /// `(mean loss, accuracy)` of the next steps; the last pair repeats.
    pub script: VecDeque<(f32, f32)>,
    /// The steps that were enqueued.
    pub steps: Vec<Step>,
    /// The orders that were set.
    pub orders: Vec<Vec<u32>>,
    /// The samples that replaced others, with the data set.
    pub reloads: Vec<(DataId, Dataset)>,
    /// The data sets that were unloaded.
    pub unloads: Vec<DataId>,
    plans: Vec<Plan>,
    metrics: Vec<StepMetrics>,
    /// Bytes of images and number of labels of each data set.
    rooms: Vec<Option<[usize; 2]>>,
}

impl NullExecutor {
    /// An executor whose steps report these `(mean loss, accuracy)` pairs in turn.
    pub fn new(script: impl IntoIterator<Item = (f32, f32)>) -> Self {
        Self {
            script: script.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Executor for NullExecutor {
    fn describe(&self) -> Description {
        Description {
            backend: "null".into(),
            adapter: "none".into(),
            driver: String::new(),
            software: true,
        }
    }

    fn compile(&mut self, plan: &Plan) -> Result<Program> {
        self.plans.push(plan.clone());
        Ok(Program(self.plans.len() - 1))
    }

    fn upload(&mut self, _state: &State) -> Result<()> {
        Ok(())
    }

    fn download(&mut self, _state: &mut State) -> Result<()> {
        Ok(())
    }

    fn load(&mut self, data: &Dataset) -> Result<DataId> {
        self.rooms
            .push(Some([data.pixels().memory().len(), data.len()]));
        Ok(DataId(self.rooms.len() - 1))
    }

    fn reload(&mut self, data: DataId, samples: &Dataset) -> Result<()> {
        super::check_reload(*loaded(&self.rooms, data)?, samples)?;
        self.reloads.push((data, samples.clone()));
        Ok(())
    }

    fn order(&mut self, data: DataId, order: &[u32]) -> Result<()> {
        loaded(&self.rooms, data)?;
        self.orders.push(order.to_vec());
        Ok(())
    }

    fn unload(&mut self, data: DataId) -> Result<()> {
        loaded(&self.rooms, data)?;
        self.rooms[data.0] = None;
        self.unloads.push(data);
        Ok(())
    }

    fn enqueue(&mut self, step: &Step) -> Result<()> {
        let (loss, accuracy) = match self.script.len() {
            0 => (0.0, 0.0),
            1 => self.script[0],
            _ => self.script.pop_front().unwrap_or_default(),
        };
        self.steps.push(*step);
        self.metrics.push(StepMetrics {
            loss_sum: loss * step.rows as f32,
            correct: (accuracy * step.rows as f32).round() as u32,
            rows: step.rows as u32,
        });
        Ok(())
    }

    fn completed(&mut self, _wait: bool) -> Result<Vec<StepMetrics>> {
        Ok(std::mem::take(&mut self.metrics))
    }

    fn predictions(&mut self, program: Program) -> Result<Vec<f32>> {
        let id = self.plans[program.0].predictions()?;
        Ok(self.read(program, id)?.into_f32())
    }

    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        Some(self)
    }
}

impl Inspect for NullExecutor {
    fn run(&mut self, _ops: Range<usize>, step: &Step) -> Result<()> {
        self.enqueue(step)
    }

    fn write(&mut self, program: Program, buffer: BufferId, values: &Values) -> Result<()> {
        super::check_values(self.plans[program.0].buffer(buffer), values)
    }

    fn read(&mut self, program: Program, buffer: BufferId) -> Result<Values> {
        let buffer = self.plans[program.0].buffer(buffer);
        Ok(match buffer.element {
            Element::F32 => Values::F32(vec![0.0; buffer.len()]),
            Element::U32 => Values::U32(vec![0; buffer.len()]),
        })
    }
}
