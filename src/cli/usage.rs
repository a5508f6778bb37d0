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
        _ => say(&plain(&one_line(&message.render().to_string()))),
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

/// The words of Rust's parsers of numbers, in those of the user.
fn plain(line: &str) -> String {
    let words = [
        ("invalid digit found in string", "expected a whole number"),
        ("invalid float literal", "expected a number"),
        (
            "number too large to fit in target type",
            "the number is too large",
        ),
        (
            "cannot parse integer from empty string",
            "expected a whole number",
        ),
        ("cannot parse float from empty string", "expected a number"),
    ];
    let mut line = line.to_owned();
    for (theirs, ours) in words {
        line = line.replace(theirs, ours);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_told_plainly() {
        let told = |text: &str| plain(&text.parse::<u64>().unwrap_err().to_string());
        assert_eq!(told("abc"), "expected a whole number");
        assert_eq!(told(""), "expected a whole number");
        assert_eq!(told("99999999999999999999"), "the number is too large");
        let told = |text: &str| plain(&text.parse::<f64>().unwrap_err().to_string());
        assert_eq!([told("x"), told("")], ["expected a number"; 2]);
    }

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
