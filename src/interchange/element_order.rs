//! The order of a flattened image's elements.

use crate::model::{Layer, ResolvedLayer};

/// Whether the output of each layer, a vector, may have its elements in another order, because all that is computed
/// from it goes into dense layers, whose weights can be permuted instead. Layers that merge vectors need them in one
/// order, and so does whoever takes the model's output.
pub(super) fn are_orders_free(layers: &[ResolvedLayer<'_>]) -> Vec<bool> {
    let mut free = vec![true; layers.len()];
    if let Some(last) = free.last_mut() {
        *last = false;
    }
    for (index, layer) in layers.iter().enumerate().rev() {
        let takes_any = match layer.layer {
            Layer::Dense(_) => true,
            Layer::Add(_) | Layer::Concatenate(_) => false,
            _ => free[index],
        };
        for source in layer.from.iter().flatten().filter(|_| !takes_any) {
            free[*source] = false;
        }
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Add, BatchNormalization, Dense, Flatten, Sequential};

    #[test]
    fn an_order_is_free_if_only_dense_layers_read_it() {
        let free = |model: &Sequential| are_orders_free(&model.resolve().unwrap());
        let chain = Sequential::new([2, 2, 2])
            .add(Flatten::new())
            .add(BatchNormalization::new())
            .add(Dense::new(2))
            .add(BatchNormalization::new());
        assert_eq!(free(&chain), [true, true, false, false]);
        let joined = Sequential::new([2, 2, 2])
            .add(Flatten::new().name("a"))
            .add_from("input", Flatten::new().name("b"))
            .add(BatchNormalization::new().name("norm"))
            .add_from(["a", "norm"], Add::new().name("sum"))
            .add_from("a", Dense::new(8).name("dense"))
            .add_from(["dense", "sum"], Add::new())
            .add(Dense::new(2).name("head"));
        let expected = [false, false, false, false, false, true, false];
        assert_eq!(free(&joined), expected);
    }
}
