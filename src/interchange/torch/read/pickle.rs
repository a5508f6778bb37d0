//! The dictionaries of a pickle, in their order, which `pytorch_reader` does not keep.
//!
//! A pickle is a program for a machine with a stack. Only what dictionaries and the keys in them
//! need is computed here; calls are not made, and their results count as empty dictionaries, which
//! those of `OrderedDict()` are.

use std::collections::HashMap;

use crate::error::FormatError;

/// The longest pickle of a state dict or module; one of a thousand layers takes 1 MiB.
pub(super) const MAX_PICKLE: u64 = 4 << 20;
/// The most values on the stack, in the memo, and dictionaries. `pytorch_reader` takes more memory
/// for them.
const MAX_VALUES: usize = 1 << 17;

/// A value, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pickled<'a> {
    /// A text.
    Text(&'a str),
    /// A dictionary, an object, or the result of a call: an index of [`Unpickled::dictionaries`].
    Dictionary(usize),
    /// Anything else.
    Other,
    /// The start of a sequence on the stack.
    Mark,
}

/// A dictionary's entries whose keys are texts.
type DictionaryEntries<'a> = Vec<(&'a str, Pickled<'a>)>;

/// A pickle's contents.
#[derive(Debug)]
pub(super) struct Unpickled<'a> {
    /// The whole.
    pub root: Pickled<'a>,
    /// The entries of each dictionary.
    pub dictionaries: Vec<DictionaryEntries<'a>>,
    /// The length of the pickle.
    pub length: usize,
}

/// Reads the pickle that `bytes` start with.
///
/// # Errors
/// It is damaged, larger than any state dict, or uses operations that `torch.save` does not.
pub(super) fn unpickle(bytes: &[u8]) -> Result<Unpickled<'_>, FormatError> {
    let mut machine = Machine {
        input: bytes,
        at: 0,
        stack: Vec::new(),
        memo: HashMap::new(),
        memoized: 0,
        dictionaries: Vec::new(),
    };
    while let Some(operation) = machine.next_operation()? {
        machine.run(operation)?;
        let most = [
            machine.stack.len(),
            machine.memo.len(),
            machine.dictionaries.len(),
        ];
        if most.into_iter().any(|values| values > MAX_VALUES) {
            return Err(format!(
                "its pickle has more than {MAX_VALUES} values; save only `net.state_dict()`"
            )
            .into());
        }
    }
    Ok(Unpickled {
        root: machine.pop()?,
        dictionaries: machine.dictionaries,
        length: machine.at,
    })
}

struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    stack: Vec<Pickled<'a>>,
    /// Texts and dictionaries that the pickle refers to again.
    memo: HashMap<u32, Pickled<'a>>,
    /// The number of values stored without a number of their own.
    memoized: u32,
    dictionaries: Vec<DictionaryEntries<'a>>,
}

impl<'a> Machine<'a> {
    /// The next operation; `None` if it is the end.
    fn next_operation(&mut self) -> Result<Option<u8>, FormatError> {
        let operation = self.number(1)? as u8;
        Ok((operation != b'.').then_some(operation))
    }

    fn run(&mut self, operation: u8) -> Result<(), FormatError> {
        match operation {
            // Headers: the protocol, the length of a frame.
            0x80 => self.skip(1),
            0x95 => self.skip(8),
            b'N' | 0x88 | 0x89 | b']' | b')' | 0x8f => self.push(Pickled::Other),
            b'K' => self.push_skipping(1),
            b'M' => self.push_skipping(2),
            b'J' => self.push_skipping(4),
            b'G' => self.push_skipping(8),
            0x8a | b'C' => self.push_counted(1),
            0x8b | b'B' => self.push_counted(4),
            0x8e | 0x96 => self.push_counted(8),
            0x8c | b'U' => self.push_text(1),
            b'X' | b'T' => self.push_text(4),
            0x8d => self.push_text(8),
            b'(' => self.push(Pickled::Mark),
            b'}' => self.push_dictionary(Vec::new()),
            b'd' => {
                let pairs = self.pop_to_mark()?;
                self.push_dictionary(entries(&pairs))
            }
            b't' | b'l' | 0x91 => {
                self.pop_to_mark()?;
                self.push(Pickled::Other)
            }
            0x85 | b'Q' => self.replace(1),
            0x86 | 0x93 => self.replace(2),
            0x87 => self.replace(3),
            b'0' | b'a' => self.pop().map(|_| ()),
            b'1' | b'e' | 0x90 => self.pop_to_mark().map(|_| ()),
            b'2' => {
                let top = self.top()?;
                self.push(top)
            }
            b's' => {
                let value = self.pop()?;
                let pair = [self.pop()?, value];
                self.add(&pair)
            }
            b'u' => {
                let pairs = self.pop_to_mark()?;
                self.add(&pairs)
            }
            b'R' | 0x81 => self.call(2),
            0x92 => self.call(3),
            b'b' => self.build(),
            b'c' => {
                self.skip_line()?;
                self.skip_line()?;
                self.push(Pickled::Other)
            }
            b'h' => self.recall(1),
            b'j' => self.recall(4),
            b'q' => self.remember(1),
            b'r' => self.remember(4),
            0x94 => {
                let next = self.memoized;
                self.store(next)
            }
            other => Err(format!(
                "its pickle uses the operation {other:#04x}, which `torch.save` does not by default; \
                 save `net.state_dict()` again"
            )
            .into()),
        }
    }

    fn push(&mut self, value: Pickled<'a>) -> Result<(), FormatError> {
        self.stack.push(value);
        Ok(())
    }

    fn push_skipping(&mut self, bytes: usize) -> Result<(), FormatError> {
        self.skip(bytes)?;
        self.push(Pickled::Other)
    }

    /// Pushes bytes that a number of this many bytes counts.
    fn push_counted(&mut self, width: usize) -> Result<(), FormatError> {
        self.counted(width)?;
        self.push(Pickled::Other)
    }

    fn push_text(&mut self, width: usize) -> Result<(), FormatError> {
        let text = std::str::from_utf8(self.counted(width)?);
        self.push(text.map_or(Pickled::Other, Pickled::Text))
    }

    fn push_dictionary(&mut self, entries: DictionaryEntries<'a>) -> Result<(), FormatError> {
        self.dictionaries.push(entries);
        self.push(Pickled::Dictionary(self.dictionaries.len() - 1))
    }

    /// Replaces this many values by one that does not matter.
    fn replace(&mut self, values: usize) -> Result<(), FormatError> {
        for _ in 0..values {
            self.pop()?;
        }
        self.push(Pickled::Other)
    }

    /// Replaces a function and its arguments.
    fn call(&mut self, values: usize) -> Result<(), FormatError> {
        for _ in 0..values {
            self.pop()?;
        }
        self.push_dictionary(Vec::new())
    }

    /// Adds entries to the dictionary at the top, if it is one.
    fn add(&mut self, pairs: &[Pickled<'a>]) -> Result<(), FormatError> {
        if let Pickled::Dictionary(at) = self.top()?
            && let Some(dictionary) = self.dictionaries.get_mut(at)
        {
            dictionary.extend(entries(pairs));
        }
        Ok(())
    }

    /// Sets the attributes of an object. Those of a module are its tensors and parts; others have
    /// nothing to do with entries.
    fn build(&mut self) -> Result<(), FormatError> {
        let state = self.pop()?;
        if let (Pickled::Dictionary(state), Pickled::Dictionary(object)) = (state, self.top()?) {
            let found = ["_parameters", "_buffers", "_modules"].map(|table| {
                let state = self.dictionaries.get(state)?;
                let (_, entries) = state.iter().rev().find(|(key, _)| *key == table)?;
                match entries {
                    Pickled::Dictionary(at) => self.dictionaries.get(*at).cloned(),
                    Pickled::Text(_) | Pickled::Other | Pickled::Mark => None,
                }
            });
            if let Some(object) = self.dictionaries.get_mut(object) {
                object.extend(found.into_iter().flatten().flatten());
            }
        }
        Ok(())
    }

    fn top(&self) -> Result<Pickled<'a>, FormatError> {
        self.stack.last().copied().ok_or_else(damaged)
    }

    fn pop(&mut self) -> Result<Pickled<'a>, FormatError> {
        self.stack.pop().ok_or_else(damaged)
    }

    /// Pops the values above the last mark, and it.
    fn pop_to_mark(&mut self) -> Result<Vec<Pickled<'a>>, FormatError> {
        let mark = self.stack.iter().rposition(|value| *value == Pickled::Mark);
        let mut values = self.stack.split_off(mark.ok_or_else(damaged)?);
        values.remove(0);
        Ok(values)
    }

    fn recall(&mut self, width: usize) -> Result<(), FormatError> {
        let at = self.number(width)? as u32;
        self.push(self.memo.get(&at).copied().unwrap_or(Pickled::Other))
    }

    fn remember(&mut self, width: usize) -> Result<(), FormatError> {
        let at = self.number(width)? as u32;
        self.store(at)
    }

    fn store(&mut self, at: u32) -> Result<(), FormatError> {
        self.memoized = self.memoized.saturating_add(1);
        match self.top()? {
            value @ (Pickled::Text(_) | Pickled::Dictionary(_)) => self.memo.insert(at, value),
            Pickled::Other | Pickled::Mark => self.memo.remove(&at),
        };
        Ok(())
    }

    /// A little-endian number of this many bytes.
    fn number(&mut self, width: usize) -> Result<u64, FormatError> {
        let bytes = self.bytes(width)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    fn counted(&mut self, width: usize) -> Result<&'a [u8], FormatError> {
        let length = self.number(width)?;
        self.bytes(usize::try_from(length).map_err(|_| damaged())?)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), FormatError> {
        self.bytes(bytes).map(|_| ())
    }

    fn skip_line(&mut self) -> Result<(), FormatError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        self.skip(end.ok_or_else(damaged)? + 1)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], FormatError> {
        let end = self.at.checked_add(length).ok_or_else(damaged)?;
        let bytes = self.input.get(self.at..end).ok_or_else(damaged)?;
        self.at = end;
        Ok(bytes)
    }
}

/// The entries of keys and values that follow each other.
fn entries<'a>(pairs: &[Pickled<'a>]) -> DictionaryEntries<'a> {
    let (pairs, _) = pairs.as_chunks();
    let named = pairs.iter().filter_map(|[key, value]| match key {
        Pickled::Text(key) => Some((*key, *value)),
        Pickled::Dictionary(_) | Pickled::Other | Pickled::Mark => None,
    });
    named.collect()
}

fn damaged() -> FormatError {
    format!(
        "its pickle is damaged, or longer than {} MiB; save only `net.state_dict()`",
        MAX_PICKLE >> 20
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(entries: &DictionaryEntries<'_>) -> Vec<String> {
        entries.iter().map(|(key, _)| key.to_string()).collect()
    }

    #[test]
    fn keys_keep_their_order() {
        // pickle.dumps({"b": 1, "a": None, 7: {}}, 2)
        let bytes =
            b"\x80\x02}q\x00(X\x01\x00\x00\x00bq\x01K\x01X\x01\x00\x00\x00aq\x02NK\x07}q\x03u.";
        let read = unpickle(bytes).unwrap();
        assert_eq!(read.root, Pickled::Dictionary(0));
        assert_eq!(keys(&read.dictionaries[0]), ["b", "a"]);
        assert_eq!(read.length, bytes.len());
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes =
            b"\x80\x02}q\x00(X\x01\x00\x00\x00bq\x01K\x01X\x01\x00\x00\x00aq\x02NK\x07}q\x03u.";
        for length in 0..bytes.len() {
            let message = unpickle(&bytes[..length]).unwrap_err().to_string();
            assert!(message.contains("damaged"), "{message}");
        }
    }

    #[test]
    fn a_pickle_with_too_many_values_is_refused() {
        for bytes in [b"N".repeat(MAX_VALUES + 1), b"}0".repeat(MAX_VALUES + 1)] {
            let message = unpickle(&bytes).unwrap_err().to_string();
            assert!(message.contains("more than 131072 values"), "{message}");
        }
    }

    #[test]
    fn unknown_operations_are_named() {
        let message = unpickle(b"\x80\x02\x82").unwrap_err().to_string();
        assert!(message.contains("0x82"), "{message}");
    }
}
