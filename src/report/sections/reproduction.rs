//! How to repeat a run.

use crate::report::{ReportBlock, ReportSection};
use crate::run::{Config, ImportRecord};
use crate::shape::dims;
use crate::words::{counted, thousands};

/// The command, the seed, the fingerprints of the data, the versions and the hash of the weights;
/// all settings as in `config.toml`.
pub fn reproduction(config: &Config, weights_hash: &str) -> ReportSection {
    let section = ReportSection::new("reproduction", "How to repeat this run");
    let section = match config.command.as_slice() {
        [] => section.with(ReportBlock::Missing(
            "The command line was not recorded; the settings below are complete.".into(),
        )),
        command => section.with(ReportBlock::Code {
            folded: None,
            text: typed(command),
        }),
    };
    let text = "The same version, data, seed and device give the same weights, bit for bit; other devices round \
                differently.";
    section
        .with(ReportBlock::Text(text.into()))
        .with(ReportBlock::Facts(facts(config, weights_hash)))
        .with(ReportBlock::Code {
            folded: Some("All settings (config.toml)".into()),
            // Names, numbers and flags, all of which TOML can represent.
            text: toml::to_string(config).unwrap_or_default(),
        })
}

/// Where an imported network came from.
pub fn origin(import: &ImportRecord, weights_hash: &str) -> ReportSection {
    let facts = [
        ("file", import.source.display().to_string()),
        ("format", import.format.clone()),
        ("its SHA-256", import.sha256.clone()),
        ("imported", import.imported.clone()),
        ("by version", format!("cnn-gpu {}", import.version)),
        ("hash of the weights", weights_hash.to_owned()),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let section = ReportSection::new("reproduction", "Where the network came from")
        .with(ReportBlock::Facts(facts.into()));
    let notes = import.notes.iter().cloned().map(ReportBlock::Text);
    notes.fold(section, ReportSection::with)
}

fn facts(config: &Config, weights_hash: &str) -> Vec<(String, String)> {
    let data = &config.dataset;
    let devices = config.devices().map(|device| {
        let driver = match device.driver.as_str() {
            "" => String::new(),
            driver => format!(", {driver}"),
        };
        format!("{} ({}{driver})", device.adapter, device.backend)
    });
    let initial = config.weights.as_ref().map(|weights| {
        let value = format!("{} ({})", weights.path.display(), weights.hash);
        ("initial weights", value)
    });
    let facts = [
        ("started", config.started.clone()),
        ("version", format!("cnn-gpu {}", config.version)),
        ("seed", config.training.seed.to_string()),
        ("device", devices.collect::<Vec<_>>().join(", then ")),
        ("data", format!("{} ({})", data.name, data.source)),
        ("training images", thousands(data.train_images as u64)),
        ("their fingerprint", data.train_fingerprint.clone()),
        ("test images", thousands(data.test_images as u64)),
        ("their fingerprint", data.test_fingerprint.clone()),
        (
            "optimizer",
            format!(
                "{}, batches of {}",
                config.training.optimizer.name(),
                counted(config.training.batch_size, "image")
            ),
        ),
        ("input", dims(&config.model.input_shape)),
        ("hash of the weights", weights_hash.to_owned()),
    ];
    let facts = facts.into_iter().chain(initial);
    let facts = facts.filter(|(_, value)| !value.is_empty());
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A command line as one types it into a shell.
fn typed(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/\\:._-+=@%,".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = ["cnn-gpu", "train", "--out", "my run", "it's", ""].map(String::from);
        assert_eq!(
            super::typed(&words),
            r"cnn-gpu train --out 'my run' 'it'\''s' ''"
        );
    }
}
