//! Keras's `Reshape`, as far as layers here make it unnecessary.

use serde_json::{Map, Value};

use super::super::arguments::Arguments;
use crate::error::FormatError;
use crate::model::{Flatten, Layer};

/// The layer that a `Reshape` of inputs of this shape is: a flattening, or none where it changes
/// nothing.
pub(super) fn read(a: &mut Arguments<'_>, shape: &[usize]) -> Result<Option<Layer>, FormatError> {
    let found = a
        .value("target_shape")
        .and_then(|value| target(value, shape));
    a.finish()?;
    match found {
        Some(target) if target == shape => Ok(None),
        Some(target) if target.len() == 1 => Ok(Some(Flatten::new().name(a.name).into())),
        _ => Err(a.wrong("target_shape", "that of the input, or one that flattens it")),
    }
}

/// The shape of the images that a `Reshape` with these arguments makes of inputs.
pub(in super::super) fn reshaped(
    config: &Map<String, Value>,
    input: &[usize],
) -> Option<[usize; 3]> {
    target(config.get("target_shape")?, input)?.try_into().ok()
}

/// The sizes of the new axes, one of which may be what is left.
fn target(value: &Value, shape: &[usize]) -> Option<Vec<usize>> {
    let all = product(shape.iter().copied())?;
    let wanted: Vec<i64> = (value.as_array()?.iter())
        .map(Value::as_i64)
        .collect::<Option<_>>()?;
    let known = product(wanted.iter().filter_map(|&n| usize::try_from(n).ok()))?;
    let size = |n: i64| match n {
        -1 => all.checked_div(known),
        n => usize::try_from(n).ok(),
    };
    let sizes: Vec<usize> = wanted.into_iter().map(size).collect::<Option<_>>()?;
    (product(sizes.iter().copied())? == all).then_some(sizes)
}

fn product(mut sizes: impl Iterator<Item = usize>) -> Option<usize> {
    sizes.try_fold(1, usize::checked_mul)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sizes_are_those_of_the_target() {
        let shape = [2, 3, 4];
        for (value, expected) in [
            (json!([-1]), Some(vec![24])),
            (json!([24]), Some(vec![24])),
            (json!([6, -1]), Some(vec![6, 4])),
            (json!([2, 3, 4]), Some(vec![2, 3, 4])),
            (json!([-1, -1]), None),
            (json!([5, -1]), None),
            (json!([0, -1]), None),
            (json!([25]), None),
            (json!([-2, -12]), None),
            (json!("24"), None),
        ] {
            assert_eq!(target(&value, &shape), expected, "{value}");
        }
    }
}
