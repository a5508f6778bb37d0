//! The commands, the code and the pictures of a Markdown document.

/// A Markdown document.
pub struct Document<'a>(&'a str);

/// A command and what it prints. A line of `...` stands for any lines, and `...` in a line for any
/// text.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    pub command: Vec<String>,
    pub output: Vec<String>,
}

impl<'a> Document<'a> {
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The blocks of code with their languages.
    fn blocks(&self) -> Vec<(&'a str, Vec<&'a str>)> {
        let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut inside = false;
        for line in self.0.lines() {
            match line.strip_prefix("```") {
                Some(_) if inside => inside = false,
                Some(language) => {
                    inside = true;
                    blocks.push((language, Vec::new()));
                }
                None if inside => blocks.last_mut().unwrap().1.push(line),
                None => {}
            }
        }
        assert!(!inside, "a block does not end");
        blocks
    }

    /// The commands in order, with their outputs.
    pub fn listings(&self) -> Vec<Listing> {
        let mut listings: Vec<Listing> = Vec::new();
        let consoles = self.blocks().into_iter().filter(|b| b.0 == "console");
        for (_, lines) in consoles {
            // A command that ends in a backslash continues in the next line, also within quotes.
            let mut unfinished: Option<String> = None;
            for line in lines {
                let command = match (unfinished.take(), line.strip_prefix("$ ")) {
                    (Some(before), _) => before + line,
                    (None, Some(command)) => command.to_owned(),
                    (None, None) => {
                        listings.last_mut().unwrap().output.push(line.into());
                        continue;
                    }
                };
                match command.strip_suffix('\\') {
                    Some(before) => unfinished = Some(before.to_owned()),
                    None => listings.push(Listing {
                        command: words(&command),
                        output: Vec::new(),
                    }),
                }
            }
        }
        listings
    }

    /// The blocks of Rust, and of other languages that are no commands.
    pub fn code(&self) -> Vec<String> {
        let code = self.blocks().into_iter().filter(|b| b.0 != "console");
        code.map(|(language, lines)| format!("{language}\n{}", lines.join("\n")))
            .collect()
    }

    /// The paths of the pictures.
    pub fn pictures(&self) -> Vec<String> {
        let parts = self.0.split("![").skip(1);
        let path = |part: &str| {
            part.split_once("](")?
                .1
                .split_once(')')
                .map(|p| p.0.to_owned())
        };
        parts.filter_map(path).collect()
    }

    /// The numbers of the sections.
    pub fn sections(&self) -> Vec<String> {
        let titles = self.0.lines().filter_map(|line| line.strip_prefix("##"));
        let number = |title: &str| {
            title
                .trim_start_matches('#')
                .split_whitespace()
                .next()
                .map(String::from)
        };
        titles
            .filter_map(number)
            .filter(|n| n.starts_with(|c: char| c.is_ascii_digit()))
            .collect()
    }
}

/// The words of a command line; quoted ones may contain spaces.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in line.split('"').enumerate() {
        if i % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(String::from));
        }
    }
    words
}

/// Whether `found` is what a document shows.
pub fn matches(shown: &[String], found: &str) -> bool {
    let found: Vec<&str> = found.lines().collect();
    match_lines(shown, &found)
}

fn match_lines(shown: &[String], found: &[&str]) -> bool {
    match shown {
        [] => found.is_empty(),
        [dots, rest @ ..] if dots == "..." => {
            (0..=found.len()).any(|skip| match_lines(rest, &found[skip..]))
        }
        [line, rest @ ..] => match found {
            [first, others @ ..] => match_line(line, first) && match_lines(rest, others),
            [] => false,
        },
    }
}

fn match_line(shown: &str, found: &str) -> bool {
    let mut parts = shown.split("...");
    let Some(mut left) = parts.next().and_then(|start| found.strip_prefix(start)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return left.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.split_once(part) {
            Some((_, rest)) => left = rest,
            None => return false,
        }
    }
    false
}

#[test]
fn dots_stand_for_any_text_and_any_lines() {
    let shown = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    assert!(matches(&shown(&["a", "...", "d"]), "a\nb\nc\nd\n"));
    assert!(matches(&shown(&["loss ... of 5"]), "loss 0.25 of 5\n"));
    assert!(!matches(&shown(&["loss ... of 5"]), "loss 0.25 of 6\n"));
    assert!(!matches(&shown(&["a"]), "a\nb\n"));
    assert!(matches(&shown(&["..."]), ""));
}

#[test]
fn commands_are_split_as_a_shell_splits_them() {
    let document = Document::new(
        "```console\n$ cnn-gpu convolve --matrix \"1,2;\\\n 3,4\" \\\n    --steps 0,0\nout\n```\n",
    );
    let listing = &document.listings()[0];
    assert_eq!(
        listing.command,
        [
            "cnn-gpu", "convolve", "--matrix", "1,2; 3,4", "--steps", "0,0"
        ]
    );
    assert_eq!(listing.output, ["out"]);
}
