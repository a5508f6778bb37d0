//! Orders that interleave the classes evenly, so that any stretch of samples is stratified.

use crate::rng::{Key, Stream};

/// The indices of `labels` in an order that depends on `seed`. Each class is shuffled and then
/// spread evenly: sample `r` of a class of `n` is placed at `(r + 1/2) / n` of the way, and the
/// lower class goes first on a tie. So the first `k` samples, the last `k` and the rest are
/// stratified: they hold the classes in the proportions of the whole, rounded.
///
/// ```
/// use cnn_gpu::data::mix;
/// let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1];
/// let order = mix::order(&labels, 42);
/// let classes: Vec<u8> = order.iter().map(|&i| labels[i as usize]).collect();
/// assert_eq!(classes, [0, 1, 0, 0, 1, 0, 0, 1, 0]);
/// ```
pub fn order(labels: &[u8], seed: u64) -> Vec<u32> {
    let mut members: [Vec<u32>; 256] = std::array::from_fn(|_| Vec::new());
    for (index, &label) in labels.iter().enumerate() {
        members[usize::from(label)].push(index as u32);
    }
    let mut placed = Vec::with_capacity(labels.len());
    for (class, members) in members.iter().enumerate() {
        let key = Key::new(seed).stream(Stream::Mix, class as u32);
        let shuffled = key.permutation(members.len()).into_iter().enumerate();
        placed.extend(shuffled.map(|(r, member)| {
            let place = (r as f64 + 0.5) / members.len() as f64;
            (place, class, members[member as usize])
        }));
    }
    placed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    placed.into_iter().map(|(_, _, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stretch_at_either_end_is_stratified() {
        let counts = [40_usize, 25, 3, 1];
        let labels: Vec<u8> = (0..4_u8)
            .flat_map(|class| vec![class; counts[usize::from(class)]])
            .collect();
        let order = order(&labels, 7);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..69).collect::<Vec<u32>>());
        for length in 0..=69 {
            for stretch in [&order[..length], &order[69 - length..]] {
                for (class, &count) in counts.iter().enumerate() {
                    let of_class = |&&i: &&u32| usize::from(labels[i as usize]) == class;
                    let found = stretch.iter().filter(of_class).count() as f64;
                    let share = (count * length) as f64 / 69.0;
                    assert!((found - share).abs() <= 1.5, "{class} in {length}: {found}");
                }
            }
        }
    }

    #[test]
    fn the_seed_decides_which_samples_come_first() {
        let labels: Vec<u8> = (0..60).map(|i| i / 20).collect();
        assert_eq!(order(&labels, 1), order(&labels, 1));
        assert_ne!(order(&labels, 1)[..12], order(&labels, 2)[..12]);
    }
}
