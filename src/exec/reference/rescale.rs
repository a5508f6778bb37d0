//! Rescaling.

use super::{Definition, put_gradient};
use crate::exec::host::Memory;
use crate::plan::Rescale;

impl Definition for Rescale {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            scale,
            offset,
            x,
            y,
            through,
        } = self;
        let cell = |&x: &f32| f64::from(x) * f64::from(*scale) + f64::from(*offset);
        let out = m.floats(*x).iter().map(cell).collect();
        put_gradient(m, *y, out, through.as_ref());
    }
}
