//! Which data set to load.

use std::fmt;
use std::str::FromStr;

use super::DataError;

/// Which data set to load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// MNIST if it can be found or downloaded, else the built-in digits.
    #[default]
    Auto,
    /// MNIST, or an error.
    Mnist,
    /// The built-in digits.
    Digits,
}

impl Choice {
    /// The choice as it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Mnist => "mnist",
            Self::Digits => "digits",
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Choice {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        [Self::Auto, Self::Mnist, Self::Digits]
            .into_iter()
            .find(|choice| choice.name() == text)
            .ok_or_else(|| DataError::UnknownChoice { given: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        for choice in Choice::value_variants() {
            assert_eq!(choice.to_string().parse::<Choice>().unwrap(), *choice);
            let on_the_command_line = choice.to_possible_value().unwrap();
            assert_eq!(on_the_command_line.get_name(), choice.name());
        }
    }

    #[test]
    fn says_what_is_known_when_it_is_not() {
        let message = "cifar".parse::<Choice>().unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown data set \"cifar\": expected auto, mnist or digits"
        );
    }
}
