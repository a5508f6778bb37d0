//! The axes of images, and how they are grouped.

/// An axis of a batch of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ImageAxis {
    Batch,
    Height,
    Width,
    /// Channels, or the features of a vector.
    Channel,
}

/// An axis and its size; `None` is any number of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub axis: ImageAxis,
    pub size: Option<usize>,
}

/// A size that a reshape asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Batch,
    Rest,
    Size(usize),
}

/// Divides the axes, in their order, into groups of these sizes.
pub(super) fn regroup(extents: &[Extent], wanted: &[Wanted]) -> Option<Vec<Vec<Extent>>> {
    let mut left = extents;
    let mut dims = Vec::new();
    for (i, &size) in wanted.iter().enumerate() {
        let (group, behind) = match left.split_first() {
            Some((next, behind)) if next.axis == ImageAxis::Batch => match size {
                Wanted::Batch | Wanted::Rest => (vec![*next], behind),
                // The number of images, as far as it is fixed.
                Wanted::Size(n) if next.size == Some(n) => (vec![*next], behind),
                Wanted::Size(1) => (Vec::new(), left),
                Wanted::Size(_) => return None,
            },
            _ => take(
                left,
                match size {
                    Wanted::Batch => return None,
                    Wanted::Size(n) => n,
                    Wanted::Rest => rest(left, wanted.get(i + 1..)?)?,
                },
            )?,
        };
        dims.push(group);
        left = behind;
    }
    left.is_empty().then_some(dims)
}

/// The first axes whose sizes have this product, and the others.
fn take(extents: &[Extent], size: usize) -> Option<(Vec<Extent>, &[Extent])> {
    let mut n = 0;
    while product(extents.get(..n)?)? < size {
        n += 1;
    }
    let (taken, behind) = extents.split_at_checked(n)?;
    (product(taken)? == size).then(|| (taken.to_vec(), behind))
}

/// The size that is left for one axis if these follow.
fn rest(extents: &[Extent], behind: &[Wanted]) -> Option<usize> {
    let sizes = behind.iter().try_fold(1usize, |n, wanted| match wanted {
        Wanted::Size(size) => n.checked_mul(*size),
        _ => None,
    })?;
    product(extents)?.checked_div(sizes)
}

/// The number of elements, unless they depend on the number of images.
pub(super) fn product(extents: &[Extent]) -> Option<usize> {
    (extents.iter()).try_fold(1usize, |n, e| {
        let size = e.size.filter(|_| e.axis != ImageAxis::Batch)?;
        n.checked_mul(size)
    })
}

/// An axis of this size, unless that is 1.
pub(super) fn extent(axis: ImageAxis, size: usize) -> Vec<Extent> {
    let extent = Extent {
        axis,
        size: Some(size),
    };
    (size != 1).then_some(extent).into_iter().collect()
}

/// Whether the axes are in the order height, width, channel.
pub(super) fn are_in_order(extents: &[Extent]) -> bool {
    extents.is_sorted_by_key(|e| e.axis)
}

/// The sizes of these axes, and their places in the order height, width, channel; `None` if they are in it.
pub(super) fn places(extents: &[Extent]) -> Option<(Vec<usize>, Vec<usize>)> {
    if are_in_order(extents) {
        return None;
    }
    let mut order: Vec<usize> = (0..extents.len()).collect();
    order.sort_by_key(|&i| extents.get(i).map(|e| e.axis));
    Some((extents.iter().map(|e| e.size.unwrap_or(1)).collect(), order))
}

/// For each element in the order height, width, channel its index in the order of these axes;
/// `None` if that is the same.
pub(super) fn rows(extents: &[Extent]) -> Option<Vec<usize>> {
    if are_in_order(extents) {
        return None;
    }
    let sizes: Vec<usize> = extents.iter().map(|e| e.size.unwrap_or(1)).collect();
    let mut stride = 1;
    let mut placed: Vec<(ImageAxis, usize, usize)> = (extents.iter().zip(sizes).rev())
        .map(|(e, size)| {
            let this = (e.axis, size, stride);
            stride *= size;
            this
        })
        .collect();
    placed.sort_unstable_by_key(|&(axis, ..)| axis);
    let grown = |rows: Vec<usize>, (_, size, stride): (ImageAxis, usize, usize)| {
        let inner = |row: usize| (0..size).map(move |i| row + i * stride);
        rows.into_iter().flat_map(inner).collect()
    };
    Some(placed.into_iter().fold(vec![0], grown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_the_order_of_the_axes() {
        let axes = |axes: [(ImageAxis, usize); 2]| axes.map(|(axis, n)| extent(axis, n)).concat();
        let first = axes([(ImageAxis::Channel, 3), (ImageAxis::Height, 2)]);
        assert_eq!(rows(&first), Some(vec![0, 2, 4, 1, 3, 5]));
        let last = axes([(ImageAxis::Height, 2), (ImageAxis::Channel, 3)]);
        assert_eq!(rows(&last), None);
    }
}
