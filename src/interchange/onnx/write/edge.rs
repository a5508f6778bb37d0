//! The value that flows from one layer to the next.

/// The output of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    /// Its name in the graph.
    pub name: String,
    /// The shape of one sample in this crate's order: `[h, w, c]` or `[features]`.
    pub shape: Vec<usize>,
    /// The graph's order of its elements.
    pub order: AxisOrder,
}

/// How a value's elements are ordered in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AxisOrder {
    /// As in this crate: images are `[h, w, c]`.
    ChannelsLast,
    /// Images are `[c, h, w]`.
    ChannelsFirst,
    /// A vector: a flattened image of this height, width and number of channels, in the order
    /// `[c, h, w]`.
    Flattened([usize; 3]),
}

impl Edge {
    /// The shape of one sample in the graph.
    pub fn dims(&self) -> Vec<usize> {
        match (self.order, self.shape.as_slice()) {
            (AxisOrder::ChannelsFirst, &[h, w, c]) => vec![c, h, w],
            _ => self.shape.clone(),
        }
    }

    /// The axis in the graph that is the last one in this crate.
    pub fn channel_axis(&self) -> i64 {
        match (self.order, self.shape.len()) {
            (AxisOrder::ChannelsFirst, 3) => 1,
            _ => -1,
        }
    }

    /// The number of channels, or of features.
    pub fn channels(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// The order after flattening in the graph's order.
    pub fn flattened(&self) -> AxisOrder {
        match (self.order, self.shape.as_slice()) {
            // In any order, one channel follows the pixels and one pixel the channels.
            (AxisOrder::ChannelsFirst, &[h, w, c]) if c > 1 && h * w > 1 => {
                AxisOrder::Flattened([h, w, c])
            }
            (order @ AxisOrder::Flattened(_), _) => order,
            (AxisOrder::ChannelsFirst | AxisOrder::ChannelsLast, _) => AxisOrder::ChannelsLast,
        }
    }

    /// The shape of the image from which this vector was flattened, if its order is not ours.
    pub fn image(&self) -> Option<[usize; 3]> {
        match self.order {
            AxisOrder::Flattened(image) => Some(image),
            AxisOrder::ChannelsLast | AxisOrder::ChannelsFirst => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(shape: [usize; 3]) -> Edge {
        Edge {
            name: "x".into(),
            shape: shape.into(),
            order: AxisOrder::ChannelsFirst,
        }
    }

    #[test]
    fn an_image_with_one_channel_or_one_pixel_has_one_order() {
        assert_eq!(image([3, 4, 1]).flattened(), AxisOrder::ChannelsLast);
        assert_eq!(image([1, 1, 5]).flattened(), AxisOrder::ChannelsLast);
        assert_eq!(
            image([1, 2, 2]).flattened(),
            AxisOrder::Flattened([1, 2, 2])
        );
    }

    #[test]
    fn sizes_follow_the_order() {
        assert_eq!(image([3, 4, 2]).dims(), [2, 3, 4]);
        assert_eq!(image([3, 4, 2]).channel_axis(), 1);
    }
}
