//! Arrays of constants.

use std::io;
use std::rc::Rc;

use super::stored::Stored;

/// Elements in row-major order. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct NdArray<T> {
    dims: Vec<usize>,
    elements: Elements<T>,
}

#[derive(Clone, Debug)]
enum Elements<T> {
    Here(Rc<Vec<T>>),
    /// In a file until they are wanted.
    Stored(Rc<Stored<T>>),
}

impl<T: Clone + PartialEq> PartialEq for NdArray<T> {
    fn eq(&self, other: &Self) -> bool {
        self.dims == other.dims && self.elements() == other.elements()
    }
}

impl<T: Clone> NdArray<T> {
    /// An array of this shape, whose elements are in a file.
    pub fn stored(dims: Vec<usize>, elements: Stored<T>) -> Self {
        Self {
            dims,
            elements: Elements::Stored(Rc::new(elements)),
        }
    }

    /// An array of this shape, unless it has another number of elements.
    pub fn new(dims: Vec<usize>, elements: Vec<T>) -> Option<Self> {
        (count(&dims)? == elements.len()).then(|| Self {
            dims,
            elements: Elements::Here(Rc::new(elements)),
        })
    }

    /// An array without axes.
    pub fn scalar(element: T) -> Self {
        Self {
            dims: Vec::new(),
            elements: Elements::Here(Rc::new(vec![element])),
        }
    }

    /// An array with one axis.
    pub fn vector(elements: Vec<T>) -> Self {
        Self {
            dims: vec![elements.len()],
            elements: Elements::Here(Rc::new(elements)),
        }
    }

    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub fn elements(&self) -> &[T] {
        match &self.elements {
            Elements::Here(elements) => elements,
            Elements::Stored(stored) => stored.elements(),
        }
    }

    /// Copies the elements into `to`, which has as many.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn copy_to(&self, to: &mut [T]) -> io::Result<()> {
        match &self.elements {
            Elements::Here(elements) => to.clone_from_slice(elements),
            Elements::Stored(stored) => stored.copy_to(to)?,
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        count(&self.dims).unwrap_or(0)
    }

    /// The only element.
    pub fn single(&self) -> Option<&T> {
        if self.len() != 1 {
            return None;
        }
        match self.elements() {
            [element] => Some(element),
            _ => None,
        }
    }

    /// The same elements in another shape.
    pub fn reshaped(&self, dims: Vec<usize>) -> Option<Self> {
        (count(&dims)? == self.len()).then(|| Self {
            dims,
            elements: self.elements.clone(),
        })
    }

    /// Axis `i` of the result is axis `order[i]`.
    pub fn transposed(&self, order: &[usize]) -> Option<Self> {
        let mut seen = order.to_vec();
        seen.sort_unstable();
        if !seen.into_iter().eq(0..self.dims.len()) {
            return None;
        }
        if let Elements::Stored(stored) = &self.elements
            && let Some(stored) = stored.transposed(&self.dims, order)
        {
            let dims = order.iter().map(|&axis| self.dims.get(axis).copied());
            return Some(Self::stored(dims.collect::<Option<_>>()?, stored));
        }
        let strides = strides(&self.dims);
        let pick = |from: &[usize]| -> Option<Vec<usize>> {
            order.iter().map(|&axis| from.get(axis).copied()).collect()
        };
        let dims = pick(&self.dims)?;
        let strides = pick(&strides)?.into_iter().map(signed).collect::<Vec<_>>();
        self.strided(dims, &strides, 0)
    }

    /// Repeated along its axes of size 1 and along new ones before the first, so that it has this
    /// shape.
    pub fn broadcast(&self, dims: &[usize]) -> Option<Self> {
        if self.dims == dims {
            return Some(self.clone());
        }
        let new = dims.len().checked_sub(self.dims.len())?;
        let mut steps = vec![0; new];
        let own = self.dims.iter().zip(strides(&self.dims));
        for ((&size, stride), &wanted) in own.zip(dims.get(new..)?) {
            match size {
                _ if size == wanted => steps.push(signed(stride)),
                1 => steps.push(0),
                _ => return None,
            }
        }
        self.strided(dims.to_vec(), &steps, 0)
    }

    /// `count` elements along an axis, from `start` in steps of `step`.
    pub fn sliced(&self, axis: usize, start: usize, step: isize, count: usize) -> Option<Self> {
        let mut steps: Vec<isize> = strides(&self.dims).into_iter().map(signed).collect();
        let mut dims = self.dims.clone();
        let size = dims.get_mut(axis)?;
        let last = signed(count.saturating_sub(1)).checked_mul(step)?;
        let last = signed(start).checked_add(last)?;
        if count > 0 && (start >= *size || last < 0 || last >= signed(*size)) {
            return None;
        }
        *size = count;
        let stride = *steps.get(axis)?;
        // One index takes no step, however large.
        let step = if count > 1 { step } else { 0 };
        *steps.get_mut(axis)? = stride.checked_mul(step)?;
        let offset = if count == 0 {
            0
        } else {
            signed(start).checked_mul(stride)?
        };
        self.strided(dims, &steps, offset)
    }

    /// The elements of this shape whose distances along each axis are `steps`, from `offset` on.
    fn strided(&self, dims: Vec<usize>, steps: &[isize], offset: isize) -> Option<Self> {
        let mut elements = Vec::with_capacity(count(&dims)?);
        let all = self.elements();
        let mut position = vec![0; dims.len()];
        let mut at = offset;
        for _ in 0..count(&dims)? {
            elements.push(all.get(usize::try_from(at).ok()?)?.clone());
            for ((index, &size), &step) in position.iter_mut().zip(&dims).zip(steps).rev() {
                *index += 1;
                at += step;
                if *index < size {
                    break;
                }
                *index = 0;
                at -= step * signed(size);
            }
        }
        Self::new(dims, elements)
    }

    /// Each element, changed.
    pub fn map<U: Clone>(&self, change: impl FnMut(&T) -> U) -> NdArray<U> {
        NdArray {
            dims: self.dims.clone(),
            elements: Elements::Here(Rc::new(self.elements().iter().map(change).collect())),
        }
    }

    /// The arrays behind each other along an axis.
    pub fn joined(parts: &[Self], axis: usize) -> Option<Self> {
        let mut dims = parts.first()?.dims.clone();
        let before = count(dims.get(..axis)?)?;
        let fits = |part: &Self| {
            part.dims.len() == dims.len()
                && (part.dims.iter().zip(&dims).enumerate()).all(|(i, (a, b))| i == axis || a == b)
        };
        if axis >= dims.len() || !parts.iter().all(fits) {
            return None;
        }
        let sizes = parts.iter().filter_map(|part| part.dims.get(axis));
        dims[axis] = sizes.sum();
        let mut elements = Vec::with_capacity(count(&dims)?);
        for i in 0..before {
            for part in parts {
                let run = part.len() / before;
                elements.extend_from_slice(part.elements().get(i * run..(i + 1) * run)?);
            }
        }
        Self::new(dims, elements)
    }
}

/// The shape of the result of an operation on two arrays, either of which may be broadcast.
pub(super) fn common_dims(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |dims: &[usize], i: usize| match (i + dims.len()).checked_sub(rank) {
        Some(i) => dims.get(i).copied().unwrap_or(1),
        None => 1,
    };
    let common = |i| match (size(a, i), size(b, i)) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    };
    (0..rank).map(common).collect()
}

/// The number of elements, if it can be counted.
pub(super) fn count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &size| n.checked_mul(size))
}

/// The distances of neighbours along each axis.
fn strides(dims: &[usize]) -> Vec<usize> {
    let mut stride = 1usize;
    let mut strides: Vec<usize> = (dims.iter().rev())
        .map(|&size| {
            let this = stride;
            stride = stride.saturating_mul(size);
            this
        })
        .collect();
    strides.reverse();
    strides
}

/// An index; no array has more elements than this holds.
fn signed(index: usize) -> isize {
    isize::try_from(index).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(dims: &[usize]) -> NdArray<i32> {
        let n = dims.iter().product::<usize>() as i32;
        NdArray::new(dims.to_vec(), (0..n).collect()).unwrap()
    }

    #[test]
    fn axes_are_put_in_another_order() {
        let transposed = array(&[2, 3]).transposed(&[1, 0]).unwrap();
        assert_eq!(transposed.dims(), [3, 2]);
        assert_eq!(transposed.elements(), [0, 3, 1, 4, 2, 5]);
        let back = array(&[2, 3, 4]).transposed(&[2, 0, 1]).unwrap();
        assert_eq!(back.transposed(&[1, 2, 0]).unwrap(), array(&[2, 3, 4]));
        for wrong in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2]] {
            assert!(array(&[2, 3]).transposed(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn slices_run_in_both_directions() {
        let back = array(&[2, 4]).sliced(1, 3, -2, 2).unwrap();
        assert_eq!(back.elements(), [3, 1, 7, 5]);
        assert!(array(&[2, 4]).sliced(1, 3, 2, 2).is_none());
        assert!(array(&[2, 4]).sliced(1, 0, -1, 2).is_none());
        assert_eq!(array(&[2, 4]).sliced(1, 9, 1, 0).unwrap().len(), 0);
        let one = array(&[2, 4]).sliced(1, 3, isize::MAX, 1).unwrap();
        assert_eq!(one.elements(), [3, 7]);
        assert!(array(&[2, 4]).sliced(2, 0, 1, 1).is_none());
        assert!(array(&[4]).sliced(0, 3, 2, 2).is_none());
    }

    #[test]
    fn arrays_are_joined_along_any_axis() {
        let joined = |axis| NdArray::joined(&[array(&[2, 2]), array(&[2, 2])], axis);
        assert_eq!(joined(0).unwrap().elements(), [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(joined(1).unwrap().elements(), [0, 1, 0, 1, 2, 3, 2, 3]);
        assert!(joined(2).is_none());
        assert!(NdArray::joined(&[array(&[2]), array(&[1, 2])], 0).is_none());
    }

    #[test]
    fn axes_of_size_one_are_repeated() {
        let wide = array(&[2, 1]).broadcast(&[3, 2, 2]).unwrap();
        assert_eq!(wide.elements(), [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
        assert!(array(&[2, 3]).broadcast(&[2, 2]).is_none());
        assert_eq!(common_dims(&[4, 1], &[3]), Some(vec![4, 3]));
        assert_eq!(common_dims(&[4, 2], &[3]), None);
    }
}
