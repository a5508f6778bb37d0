//! Messages for command lines that cannot be parsed or that ask for help.

use clap::error::ErrorKind;

use super::exit::Exit;
use super::output::say;

/// Prints help unchanged, and an error as one line.
pub fn print(message: &clap::Error) -> Exit {
    match message.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // There is nowhere to report a failure.
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

/// The first paragraph of clap's message, with its suggestion if it has one.
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

/// Rewrites the messages of Rust's number parsers, at the end of a line, for users.
fn plain(line: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        (
            "invalid digit found in string",
            "expected a whole number, 0 or more",
        ),
        (
            "cannot parse integer from empty string",
            "expected a whole number",
        ),
        (
            "number too large to fit in target type",
            "the number is too large",
        ),
        (
            "number too small to fit in target type",
            "the number is too small",
        ),
        ("invalid float literal", "expected a number"),
        ("cannot parse float from empty string", "expected a number"),
    ];
    let ours = WORDS.iter().find_map(|(theirs, ours)| {
        let before = line.strip_suffix(theirs)?;
        before.ends_with(": ").then(|| format!("{before}{ours}"))
    });
    ours.unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_number_parsers_are_rewritten() {
        let line = |error: &dyn std::fmt::Display| plain(&format!("invalid value: {error}"));
        let whole = |text: &str| line(&text.parse::<u8>().unwrap_err());
        assert_eq!(
            whole("-1"),
            "invalid value: expected a whole number, 0 or more"
        );
        assert_eq!(whole(""), "invalid value: expected a whole number");
        assert_eq!(whole("256"), "invalid value: the number is too large");
        let float = |text: &str| line(&text.parse::<f64>().unwrap_err());
        assert_eq!(
            [float("x"), float("")],
            ["invalid value: expected a number"; 2]
        );
        let small = line(&"-129".parse::<i8>().unwrap_err());
        assert_eq!(small, "invalid value: the number is too small");
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
