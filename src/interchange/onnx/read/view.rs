//! What the axes of a value are, while transposes and reshapes move them about.

use std::fmt;

use super::extent::ImageAxis::{Batch, Channel, Height, Width};
use super::extent::{Extent, Wanted, extent, product, regroup};

/// Values have no more axes than this.
pub(super) const MOST_AXES: usize = 16;

/// For each axis of a value, the axes of the images that it consists of, outer ones first. Those of
/// size 1 are left out, except for the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AxisView {
    dims: Vec<Vec<Extent>>,
}

/// Where the axes of images are in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImagePlaces {
    pub rank: usize,
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub channel: usize,
}

impl ImagePlaces {
    /// `[n, c, h, w]`
    pub const CHANNELS_FIRST: Self = Self {
        rank: 4,
        batch: 0,
        channel: 1,
        height: 2,
        width: 3,
    };

    /// `[n, h, w, c]`
    pub const CHANNELS_LAST: Self = Self {
        rank: 4,
        batch: 0,
        height: 1,
        width: 2,
        channel: 3,
    };

    /// `[n, h, w]`, of images with one channel.
    pub const WITHOUT_CHANNELS: Self = Self {
        rank: 3,
        batch: 0,
        height: 1,
        width: 2,
        channel: 3,
    };

    /// `[n, h w]`, the rows of images with one channel.
    pub const ROWS: Self = Self {
        rank: 2,
        batch: 0,
        height: 1,
        width: 1,
        channel: 2,
    };

    /// The same order behind axes of size 1.
    pub fn behind(self, new: usize) -> Self {
        Self {
            rank: self.rank + new,
            batch: self.batch + new,
            height: self.height + new,
            width: self.width + new,
            channel: self.channel + new,
        }
    }
}

impl AxisView {
    /// Images of shape `[h, w, c]` with their axes in these places.
    pub fn image(places: ImagePlaces, batch: Option<usize>, [h, w, c]: [usize; 3]) -> Self {
        let extents = |i: usize| match i {
            _ if i == places.batch => vec![Extent {
                axis: Batch,
                size: batch,
            }],
            _ if i == places.height && i == places.width => {
                [extent(Height, h), extent(Width, w)].concat()
            }
            _ if i == places.height => extent(Height, h),
            _ if i == places.width => extent(Width, w),
            _ if i == places.channel => extent(Channel, c),
            _ => Vec::new(),
        };
        Self {
            dims: (0..places.rank).map(extents).collect(),
        }
    }

    /// Vectors of this many features.
    pub fn vector(batch: Option<usize>, features: usize) -> Self {
        let batch = Extent {
            axis: Batch,
            size: batch,
        };
        Self {
            dims: vec![vec![batch], extent(Channel, features)],
        }
    }

    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The size of each axis; `None` is the number of images.
    pub fn sizes(&self) -> Vec<Option<usize>> {
        let size = |extents: &Vec<Extent>| {
            (extents.iter()).try_fold(1usize, |n, e| n.checked_mul(e.size?))
        };
        self.dims.iter().map(size).collect()
    }

    /// The number of images, if the graph fixes it.
    pub fn batch(&self) -> Option<usize> {
        let mut all = self.dims.iter().flatten();
        all.find(|e| e.axis == Batch).and_then(|e| e.size)
    }

    /// Where the axes of images of shape `[h, w, c]` are, in either order.
    pub fn places(&self, image: [usize; 3]) -> Option<ImagePlaces> {
        let new = self.rank().checked_sub(4)?;
        [ImagePlaces::CHANNELS_FIRST, ImagePlaces::CHANNELS_LAST]
            .map(|order| order.behind(new))
            .into_iter()
            .find(|&places| *self == Self::image(places, self.batch(), image))
    }

    /// Whether these are images of shape `[h, w, c]` in the order `[n, c, h, w]`.
    pub fn is_channels_first(&self, image: [usize; 3]) -> bool {
        *self == Self::image(ImagePlaces::CHANNELS_FIRST, self.batch(), image)
    }

    /// The axes that the second of two axes consists of, if the first is the batch; those of a
    /// value with only that axis are none.
    pub fn features(&self) -> Option<&[Extent]> {
        let is_batch = |e: &[Extent]| matches!(e, [e] if e.axis == Batch);
        match self.dims.as_slice() {
            [batch] if is_batch(batch) => Some(&[]),
            [batch, rest] if is_batch(batch) => Some(rest),
            _ => None,
        }
    }

    /// The axes that axis `i` consists of.
    pub fn axis(&self, i: usize) -> &[Extent] {
        self.dims.get(i).map_or(&[], Vec::as_slice)
    }

    /// Axis `i` of the result is axis `order[i]`.
    pub fn transposed(&self, order: &[usize]) -> Option<Self> {
        let mut seen = order.to_vec();
        seen.sort_unstable();
        if !seen.into_iter().eq(0..self.rank()) {
            return None;
        }
        let dims = order.iter().map(|&i| self.dims.get(i).cloned());
        Some(Self {
            dims: dims.collect::<Option<_>>()?,
        })
    }

    /// Without these axes, if their size is 1.
    pub fn squeezed(&self, axes: &[usize]) -> Option<Self> {
        if axes
            .iter()
            .any(|&i| self.dims.get(i).is_none_or(|d| !d.is_empty()))
        {
            return None;
        }
        let kept = self.dims.iter().enumerate();
        let kept = kept.filter(|(i, _)| !axes.contains(i));
        Some(Self {
            dims: kept.map(|(_, extents)| extents.clone()).collect(),
        })
    }

    /// The axes of size 1; none if the number of images could be one of them.
    pub fn ones(&self) -> Option<Vec<usize>> {
        let ones = (0..self.rank()).filter(|&i| self.axis(i).is_empty());
        (self.batch() != Some(1)).then(|| ones.collect())
    }

    /// With axes of size 1 in these places of the result.
    pub fn unsqueezed(&self, axes: &[usize]) -> Option<Self> {
        let rank = self.rank() + axes.len();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let different = sorted.len() == axes.len() && rank <= MOST_AXES;
        if !different || sorted.last().is_some_and(|&last| last >= rank) {
            return None;
        }
        let mut old = self.dims.iter();
        let dims = (0..rank).map(|i| match axes.contains(&i) {
            true => Some(Vec::new()),
            false => old.next().cloned(),
        });
        Some(Self {
            dims: dims.collect::<Option<_>>()?,
        })
    }

    /// With size 1 along these axes, or without them.
    pub fn reduced(&self, axes: &[usize], keepdims: bool) -> Self {
        let kept = self.dims.iter().enumerate();
        let kept = kept.filter_map(|(i, extents)| match axes.contains(&i) {
            true => keepdims.then(Vec::new),
            false => Some(extents.clone()),
        });
        Self {
            dims: kept.collect(),
        }
    }

    /// Two axes: those before `axis`, and the others.
    pub fn flattened(&self, axis: usize) -> Option<Self> {
        let (before, behind) = self.dims.split_at_checked(axis)?;
        Some(Self {
            dims: vec![before.concat(), behind.concat()],
        })
    }

    /// The same elements with these sizes: `None` is the number of images, -1 what is left, and 0
    /// the size that the axis has, unless `zero_is_a_size`.
    pub fn reshaped(&self, sizes: &[Option<i64>], zero_is_a_size: bool) -> Option<Self> {
        let wanted: Option<Vec<Wanted>> = (sizes.iter().enumerate())
            .map(|(i, &size)| match size {
                None => Some(Wanted::Batch),
                Some(-1) => Some(Wanted::Rest),
                Some(0) if !zero_is_a_size => match self.dims.get(i)?.as_slice() {
                    [e] if e.axis == Batch => Some(Wanted::Batch),
                    extents => Some(Wanted::Size(product(extents)?)),
                },
                Some(size) => usize::try_from(size).ok().map(Wanted::Size),
            })
            .collect();
        if sizes.len() > MOST_AXES {
            return None;
        }
        let extents = self.dims.concat();
        regroup(&extents, &wanted?).map(|dims| Self { dims })
    }
}

/// The sizes of the axes: `batch, 3, 28, 28`.
impl fmt::Display for AxisView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, size) in self.sizes().into_iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match size {
                Some(size) => write!(f, "{comma}{size}")?,
                None => write!(f, "{comma}batch")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: [usize; 3] = [5, 4, 3];

    fn first(image: [usize; 3]) -> AxisView {
        AxisView::image(ImagePlaces::CHANNELS_FIRST, None, image)
    }

    fn last(image: [usize; 3]) -> AxisView {
        AxisView::image(ImagePlaces::CHANNELS_LAST, None, image)
    }

    #[test]
    fn a_transpose_changes_the_order() {
        let view = last(IMAGE).transposed(&[0, 3, 1, 2]).unwrap();
        assert!(view.is_channels_first(IMAGE));
        assert_eq!(view.places(IMAGE), Some(ImagePlaces::CHANNELS_FIRST));
        assert_eq!(view.transposed(&[0, 2, 3, 1]).unwrap(), last(IMAGE));
        assert!(view.transposed(&[0, 1, 2]).is_none());
        let other = view.transposed(&[0, 1, 3, 2]).unwrap();
        assert_eq!(other.places(IMAGE), None);
    }

    #[test]
    fn a_reshape_of_one_channel_is_a_transpose() {
        let image = [5, 4, 1];
        let sizes = [Some(-1), Some(1), Some(5), Some(4)];
        assert!(
            last(image)
                .reshaped(&sizes, false)
                .unwrap()
                .is_channels_first(image)
        );
        assert!(
            last(IMAGE)
                .reshaped(&[Some(-1), Some(3), Some(5), Some(4)], false)
                .is_none()
        );
    }

    #[test]
    fn all_ways_to_flatten_are_the_same() {
        let view = first(IMAGE);
        let flat = view.flattened(1).unwrap();
        for sizes in [
            [Some(-1), Some(60)],
            [None, Some(60)],
            [None, Some(-1)],
            [Some(0), Some(-1)],
        ] {
            assert_eq!(view.reshaped(&sizes, false).unwrap(), flat, "{sizes:?}");
        }
        for wrong in [
            [Some(-1), Some(59)],
            [Some(60), Some(-1)],
            [Some(1), Some(60)],
        ] {
            assert!(view.reshaped(&wrong, false).is_none(), "{wrong:?}");
        }
        let fixed = AxisView::image(ImagePlaces::CHANNELS_FIRST, Some(1), IMAGE);
        let flat = fixed.flattened(1).unwrap();
        assert_eq!(fixed.reshaped(&[Some(1), Some(-1)], true).unwrap(), flat);
        assert!(fixed.reshaped(&[Some(0), Some(-1)], true).is_none());
    }

    #[test]
    fn axes_of_size_one_come_and_go() {
        let view = last(IMAGE).unsqueezed(&[0, 1]).unwrap();
        let places = view.places(IMAGE).unwrap();
        assert_eq!((places.batch, places.height, places.channel), (2, 3, 5));
        assert_eq!(view.squeezed(&[0, 1]).unwrap(), last(IMAGE));
        assert!(view.squeezed(&[2]).is_none());
        assert_eq!(view.ones(), Some(vec![0, 1]));
        let sizes = [Some(1), None, Some(5), Some(4), Some(3)];
        let reshaped = last(IMAGE).reshaped(&sizes, false).unwrap();
        assert_eq!(reshaped, last(IMAGE).unsqueezed(&[0]).unwrap());
    }
}
