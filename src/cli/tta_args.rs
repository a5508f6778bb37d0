//! The flag for predictions averaged over variants of each image.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use cnn_gpu::model::{FlipMode, Layer, Sequential};
use cnn_gpu::train::TestTimeAugmentation;

use super::output::say;

/// Test-time augmentation.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct TtaArgs {
    /// Average the predictions over variants of each image: mirrored left to right, shifted by a
    /// pixel, or both
    #[arg(long, value_name = "VARIANTS", value_parser = names())]
    tta: Option<TestTimeAugmentation>,
}

impl TtaArgs {
    /// The variants. Says what is averaged, and whether the model was trained on mirrored images.
    pub fn announced(self, model: &Sequential) -> Option<TestTimeAugmentation> {
        let tta = self.tta?;
        let what = match model.loss.gives_probabilities() {
            true => "probabilities",
            false => "outputs",
        };
        say(&format!(
            "test-time augmentation: the {what} are means over {} variants: {}",
            tta.variants(),
            tta.description()
        ));
        if tta.flips() && !model.layers.iter().any(|layer| mirrors(layer)) {
            say(
                "note: the model has no RandomFlip, so it may not know mirrored images, such as those of digits \
                 and letters",
            );
        }
        Some(tta)
    }
}

/// Whether a layer mirrors training images left to right.
fn mirrors(layer: &Layer) -> bool {
    matches!(layer, Layer::RandomFlip(flip) if flip.mode != FlipMode::Vertical)
}

fn names() -> impl TypedValueParser<Value = TestTimeAugmentation> {
    let names = TestTimeAugmentation::ALL.map(TestTimeAugmentation::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<TestTimeAugmentation>())
}
