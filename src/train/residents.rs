//! The data sets that the executor holds.

use crate::exec::DataId;

/// The maximum number of data sets that stay loaded. One call needs at most four, the two chunks of
/// a training generator and those of a validation generator; most need two. The others serve callers
/// that alternate between several.
const MOST: usize = 4;

/// The data sets that the executor holds, by [`Dataset::key`](crate::data::Dataset::key), the most recently used last.
#[derive(Debug, Default)]
pub(super) struct Residents(Vec<(String, DataId)>);

impl Residents {
    /// Looks up a loaded data set and marks it as the most recently used.
    pub(super) fn find(&mut self, key: &str) -> Option<DataId> {
        let found = self.remove(key)?;
        self.0.push((key.to_owned(), found));
        Some(found)
    }

    /// Removes and returns the data set to unload before loading another, if the limit is reached.
    pub(super) fn make_room(&mut self) -> Option<DataId> {
        (self.0.len() >= MOST).then(|| self.0.remove(0).1)
    }

    /// Adds a loaded data set.
    pub(super) fn insert(&mut self, key: &str, id: DataId) {
        self.0.push((key.to_owned(), id));
    }

    /// Removes a data set.
    pub(super) fn remove(&mut self, key: &str) -> Option<DataId> {
        let place = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(place).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::hashes;
    use crate::data::digits;
    use crate::exec::null::NullExecutor;
    use crate::model::preset;
    use crate::train::{Options, Trainer};

    #[test]
    fn training_and_evaluating_hash_a_data_set_once() {
        let data = digits::generate(20, 1, 0);
        let executor = Box::new(NullExecutor::new([(1.0, 0.5)]));
        let model = preset("mnist-mlp").unwrap();
        let options = Options::default().epochs(2);
        let mut trainer = Trainer::with_executor(model, executor, options).unwrap();
        let before = hashes::computed();
        trainer.fit((&data, &data.clone())).unwrap();
        trainer.fit(&data).unwrap();
        trainer.evaluate(&data.clone()).unwrap();
        assert_eq!(hashes::computed() - before, 1);
    }

    #[test]
    fn the_data_set_unused_for_longest_makes_room() {
        let mut residents = Residents::default();
        for (i, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
            assert_eq!(residents.make_room(), None);
            residents.insert(key, DataId(i));
        }
        assert_eq!(residents.find("a"), Some(DataId(0)));
        assert_eq!(residents.make_room(), Some(DataId(1)));
        assert_eq!((residents.find("b"), residents.make_room()), (None, None));
    }
}
