//! Reordering of a tensor's axes.

/// How a parameter's elements, row-major with these axes here, are ordered in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AxesOrder {
    /// The lengths of the axes here.
    pub ours: [usize; 4],
    /// For each axis in PyTorch, which one it is here.
    pub theirs: [usize; 4],
}

impl AxesOrder {
    /// The same order.
    pub fn same(length: usize) -> Self {
        Self {
            ours: [length, 1, 1, 1],
            theirs: [0, 1, 2, 3],
        }
    }

    /// Kernels `[kh, kw, in, out]`, or the rows of a dense layer's kernel as `[h, w, c]`, as
    /// `[out, in, kh, kw]`.
    pub fn kernel(ours: [usize; 4]) -> Self {
        Self {
            ours,
            theirs: [3, 2, 0, 1],
        }
    }

    /// Depthwise kernels `[kh, kw, c, m]` as `[c, m, kh, kw]`.
    pub fn depthwise(ours: [usize; 4]) -> Self {
        Self {
            ours,
            theirs: [2, 3, 0, 1],
        }
    }

    /// The values in PyTorch's order, as little-endian bytes. There are as many as the axes have elements.
    pub fn to_torch_bytes(self, values: &[f32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 * values.len());
        for place in self.places() {
            bytes.extend_from_slice(&values[place].to_le_bytes());
        }
        bytes
    }

    /// Stores values that are in PyTorch's order; both have as many as the axes have elements.
    pub fn restore(self, values: &[f32], ours: &mut [f32]) {
        for (place, value) in self.places().zip(values) {
            ours[place] = *value;
        }
    }

    /// The place here of each element in PyTorch's order.
    fn places(self) -> impl Iterator<Item = usize> {
        let stride = |axis: usize| self.ours[axis + 1..].iter().product::<usize>();
        let walk = self.theirs.map(|axis| (self.ours[axis], stride(axis)));
        let along = move |axis: usize| {
            let (length, stride) = walk[axis];
            (0..length).map(move |i| i * stride)
        };
        along(0).flat_map(move |a| {
            along(1)
                .flat_map(move |b| along(2).flat_map(move |c| along(3).map(move |d| a + b + c + d)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_torch(order: AxesOrder, values: &[f32]) -> Vec<f32> {
        let bytes = order.to_torch_bytes(values);
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect()
    }

    fn counted(n: u16) -> Vec<f32> {
        (0..n).map(f32::from).collect()
    }

    #[test]
    fn the_rows_of_a_flattened_image_follow_its_channels() {
        // Pixels 01, 23 with two channels each and one unit become channels 02, 13.
        let order = AxesOrder::kernel([1, 2, 2, 1]);
        assert_eq!(to_torch(order, &counted(4)), [0., 2., 1., 3.]);
    }

    #[test]
    fn each_output_channel_of_a_convolution_is_one_block() {
        let order = AxesOrder::kernel([1, 2, 1, 3]);
        assert_eq!(to_torch(order, &counted(6)), [0., 3., 1., 4., 2., 5.]);
        let order = AxesOrder::depthwise([1, 2, 2, 2]);
        assert_eq!(
            to_torch(order, &counted(8)),
            [0., 4., 1., 5., 2., 6., 3., 7.]
        );
    }

    #[test]
    fn values_come_back() {
        let ours = [2, 3, 4, 5];
        let values = counted(120);
        for order in [
            AxesOrder::kernel(ours),
            AxesOrder::depthwise(ours),
            AxesOrder::same(120),
        ] {
            let mut read = vec![0.0; 120];
            order.restore(&to_torch(order, &values), &mut read);
            assert_eq!(read, values, "{order:?}");
        }
    }
}
