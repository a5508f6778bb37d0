//! Convolutions and dense layers, row by row. Grouped and dilated ones have
//! separate kernels.

use pulp::Arch;

use super::rows::{RowBlock, RowWise};
use super::{activation, conv2d, conv2d_grouped, dense, winograd};
use crate::exec::host::Memory;
use crate::model::Activation;
use crate::plan::{Conv2dBackwardInput, Conv2dForward, DenseBackwardInput, DenseForward};

impl RowWise for Conv2dForward {
    fn pack(&self, arch: Arch, memory: &Memory<'_>, packed: &mut Vec<f32>) {
        let (w, bias) = (memory.floats(self.w), self.bias.map(|id| memory.floats(id)));
        if winograd::applies(&self.shape) {
            winograd::pack_forward(arch, &self.shape, w, bias, packed);
        } else if self.shape.is_plain() {
            conv2d::pack_forward(arch, &self.shape, w, bias, packed);
        } else {
            conv2d_grouped::pack_forward(arch, &self.shape, w, bias, packed);
        }
    }

    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (shape, activation) = (&self.shape, self.activation);
        let (arch, packed) = (block.arch(), block.packed());
        block.write(self.y, |block, y| {
            let x = block.floats(self.x);
            if winograd::applies(shape) {
                let relu = activation == Activation::Relu;
                winograd::forward(arch, shape, x, packed, relu, y);
                if !relu {
                    activation::apply(activation, y);
                }
            } else if shape.is_plain() {
                conv2d::forward(arch, shape, x, packed, activation, y);
            } else {
                conv2d_grouped::forward(arch, shape, x, packed, activation, y);
            }
        });
    }
}

impl RowWise for Conv2dBackwardInput {
    fn pack(&self, arch: Arch, memory: &Memory<'_>, packed: &mut Vec<f32>) {
        if winograd::applies(&self.shape) {
            winograd::pack_backward(arch, &self.shape, memory.floats(self.w), packed);
        } else if self.shape.is_plain() {
            conv2d::pack_backward(arch, &self.shape, memory.floats(self.w), packed);
        } else {
            conv2d_grouped::pack_backward(arch, &self.shape, memory.floats(self.w), packed);
        }
    }

    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, packed) = (block.arch(), block.packed());
        block.write(self.dx, |block, dx| {
            let dy = block.floats(self.dy);
            if winograd::applies(&self.shape) {
                winograd::backward_input(arch, &self.shape, dy.into(), packed, dx);
            } else if self.shape.is_plain() {
                conv2d::backward_input(arch, &self.shape, dy, packed, dx);
            } else {
                conv2d_grouped::backward_input(arch, &self.shape, dy, packed, dx);
            }
            block.through(self.through, dx);
        });
    }
}

impl RowWise for DenseForward {
    fn pack(&self, arch: Arch, memory: &Memory<'_>, packed: &mut Vec<f32>) {
        let shape = dense::shape(self.inputs, self.outputs);
        let (w, bias) = (memory.floats(self.w), self.bias.map(|id| memory.floats(id)));
        conv2d::pack_forward(arch, &shape, w, bias, packed);
    }

    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let shape = dense::shape(self.inputs, self.outputs);
        let (arch, packed) = (block.arch(), block.packed());
        block.write(self.y, |block, y| {
            let x = block.floats(self.x);
            conv2d::forward(arch, &shape, x, packed, self.activation, y);
        });
    }
}

impl RowWise for DenseBackwardInput {
    fn pack(&self, arch: Arch, memory: &Memory<'_>, packed: &mut Vec<f32>) {
        let shape = dense::shape(self.inputs, self.outputs);
        conv2d::pack_backward(arch, &shape, memory.floats(self.w), packed);
    }

    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let shape = dense::shape(self.inputs, self.outputs);
        let (arch, packed) = (block.arch(), block.packed());
        block.write(self.dx, |block, dx| {
            conv2d::backward_input(arch, &shape, block.floats(self.dy), packed, dx);
            block.through(self.through, dx);
        });
    }
}
