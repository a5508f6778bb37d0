//! What a file of another program does not say.

use crate::interchange::Import;
use crate::interchange::outputs;
use crate::interchange::pixels::feed_fractions;
use crate::model::Sequential;

/// The model with a loss that suits its last layer, and what was assumed. `is_ours` tells that this
/// crate wrote the file, so that its inputs are pixels divided by 255.
pub(super) fn made(mut model: Sequential, is_ours: bool) -> (Sequential, Vec<String>) {
    let mut notes = Vec::new();
    if !is_ours {
        notes.push(feed_fractions(&mut model).0);
    }
    if let Some(loss) = outputs::suitable_loss(&model) {
        model.loss = loss;
        notes.push(format!("{}{}", Import::ASSUMED_LOSS, loss.name()));
    }
    notes.extend(outputs::note(&model));
    (model, notes)
}
