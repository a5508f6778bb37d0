//! What is said of a command line that cannot be parsed, and of one that asks for help.

use clap::error::ErrorKind;

use super::exit::Exit;
use super::output::say;

/// Prints help as it is, and an error as one line.
pub fn tell(message: &clap::Error) -> Exit {
    match message.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nobody is left to be told if this fails.
            let _ = message.print();
        }
        _ => say(&one_line(&message.render().to_string())),
    }
    if message.use_stderr() {
        Exit::Usage
    } else {
        Exit::Success
    }
}

/// The first paragraph of clap's message, and its guess at what was meant if it has one.
fn one_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim);
    let problem: Vec<&str> = lines.by_ref().take_while(|l| !l.is_empty()).collect();
    let tip = lines
        .filter_map(|line| line.strip_prefix("tip: "))
        .find(|tip| tip.contains("similar"));
    match tip {
        Some(tip) => format!("{}; {tip}", problem.join(" ")),
        None => problem.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_one_line() {
        let message = "error: invalid value 'x' for '--op'\n  [possible values: a, b]\n\n\
                       Usage: u\n\nFor more information, try '--help'.\n";
        let expected = "error: invalid value 'x' for '--op' [possible values: a, b]";
        assert_eq!(one_line(message), expected);
        let message = "error: unexpected argument '--epoch'\n\n  tip: to pass it, use '--'\n\n  \
                       tip: a similar argument exists: '--epochs'\n\nUsage: u\n";
        let expected =
            "error: unexpected argument '--epoch'; a similar argument exists: '--epochs'";
        assert_eq!(one_line(message), expected);
    }
}
