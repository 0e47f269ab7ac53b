//! The arguments of one `tc qdisc ... taprio` command, as `tc` itself reads them.

use super::super::FormatError;
use super::words::{Word, unquoted};

/// A word's value, and the word for messages.
pub struct At<T> {
    pub value: T,
    pub word: Word,
}

/// What the command says.
#[derive(Default)]
pub struct Command {
    pub device: Option<At<String>>,
    pub handle: Option<At<String>>,
    pub classes: Option<At<u64>>,
    pub map: Option<At<Vec<u64>>>,
    pub queues: Option<At<Vec<String>>>,
    pub base_time_ns: Option<At<u64>>,
    pub cycle_time_ns: Option<At<u64>>,
    pub cycle_time_extension_ns: Option<At<u64>>,
    pub clock: Option<At<String>>,
    pub flags: Option<At<u64>>,
    pub txtime_delay_ns: Option<At<u64>>,
    pub max_sdu_bytes: Option<At<Vec<u64>>>,
    pub preemption: Option<At<Vec<String>>>,
    pub entries: Vec<At<(u64, u64)>>,
}

/// In what numbers are written; `Any` knows `0x` and the leading 0 of an octal one.
#[derive(Clone, Copy)]
enum Base {
    Ten,
    Sixteen,
    Any,
}

/// The most values that `tc` takes of a list.
const LIST_MAX: usize = 16;

struct Words {
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
    last: Word,
}

impl Command {
    /// Reads a command's words; `sudo` may come first.
    pub fn parse(words: Vec<Word>) -> Result<Self, FormatError> {
        let words: Vec<Word> = words.into_iter().map(unquoted).collect::<Result<_, _>>()?;
        let Some(last) = words.last().cloned() else {
            return Err(FormatError::value("taprio", "there is no command"));
        };
        let mut words = Words {
            words: words.into_iter().peekable(),
            last,
        };
        let mut command = Self::default();
        words.take_if(|word| word == "sudo");
        words.expect("tc", |word| word == "tc" || word.ends_with("/tc"))?;
        words.expect("qdisc", |word| word == "qdisc")?;
        words.expect("add, replace or change", |word| {
            ["add", "replace", "change"].contains(&word)
        })?;
        loop {
            let word = words.next("taprio")?;
            match word.text.as_str() {
                "dev" => once(&mut command.device, word, words.text("a device")?)?,
                "handle" => once(&mut command.handle, word, words.text("a handle")?)?,
                "root" => {}
                "parent" => {
                    words.expect("root, since taprio is a root qdisc", |word| word == "root")?
                }
                "taprio" => break,
                _ => return Err(unknown(&word)),
            }
        }
        while let Some(word) = words.words.next() {
            command.argument(word, &mut words)?;
        }
        Ok(command)
    }

    fn argument(&mut self, word: Word, words: &mut Words) -> Result<(), FormatError> {
        match word.text.as_str() {
            "num_tc" => once(&mut self.classes, word, words.number(Base::Ten)?),
            "map" => once(&mut self.map, word, words.numbers()),
            "queues" => once(&mut self.queues, word, words.list(is_range_of_queues)),
            "base-time" => once(&mut self.base_time_ns, word, words.number(Base::Ten)?),
            "cycle-time" => once(&mut self.cycle_time_ns, word, words.number(Base::Ten)?),
            "cycle-time-extension" => {
                let extension = words.number(Base::Ten)?;
                once(&mut self.cycle_time_extension_ns, word, extension)
            }
            "clockid" => once(&mut self.clock, word, words.text("a clock")?),
            "flags" => once(&mut self.flags, word, words.number(Base::Any)?),
            "txtime-delay" => once(&mut self.txtime_delay_ns, word, words.number(Base::Any)?),
            "max-sdu" => once(&mut self.max_sdu_bytes, word, words.numbers()),
            "fp" => {
                let list = words.list(|word| word == "E" || word == "P");
                if list.len() < LIST_MAX
                    && let Some(next) = words.words.peek()
                {
                    return Err(FormatError::value(
                        next.place(),
                        format!(
                            "`{}` follows fp, where tc takes E or P alone; put fp at the end of the command",
                            next.text
                        ),
                    ));
                }
                once(&mut self.preemption, word, list)
            }
            "sched-entry" => {
                words.operation()?;
                let mask = words.number(Base::Sixteen)?;
                let interval = words.number(Base::Any)?;
                self.entries.push(At {
                    value: (mask, interval),
                    word,
                });
                Ok(())
            }
            _ => Err(unknown(&word)),
        }
    }
}

fn once<T>(place: &mut Option<At<T>>, word: Word, value: T) -> Result<(), FormatError> {
    if place.is_some() {
        return Err(FormatError::value(
            word.place(),
            format!("`{}` is there twice; keep one", word.text),
        ));
    }
    *place = Some(At { value, word });
    Ok(())
}

fn unknown(word: &Word) -> FormatError {
    FormatError::value(
        word.place(),
        format!("`{}` is no argument of tc-taprio(8)", word.text),
    )
}

impl Words {
    fn take_if(&mut self, wanted: impl Fn(&str) -> bool) -> Option<Word> {
        self.words.next_if(|word| wanted(&word.text))
    }

    fn next(&mut self, what: &str) -> Result<Word, FormatError> {
        self.words.next().ok_or_else(|| {
            FormatError::value(
                self.last.place(),
                format!(
                    "the command ends here, after `{}`; {what} is missing",
                    self.last.text
                ),
            )
        })
    }

    fn expect(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<(), FormatError> {
        let word = self.next(what)?;
        if wanted(&word.text) {
            return Ok(());
        }
        Err(FormatError::value(
            word.place(),
            format!("`{}` stands where {what} is expected", word.text),
        ))
    }

    fn text(&mut self, what: &str) -> Result<String, FormatError> {
        Ok(self.next(what)?.text)
    }

    /// The operation of an entry: of those that 802.1Q knows, the two that preempt frames are named.
    fn operation(&mut self) -> Result<(), FormatError> {
        let word = self.next("an operation")?;
        let reason = match word.text.as_str() {
            "S" => return Ok(()),
            "H" => "set-and-hold-mac preempts frames, which tsnd cannot; use S",
            "R" => "set-and-release-mac preempts frames, which tsnd cannot; use S",
            _ => "is no operation; use S",
        };
        Err(FormatError::value(
            word.place(),
            format!("sched-entry `{}`: {reason}", word.text),
        ))
    }

    fn number(&mut self, base: Base) -> Result<u64, FormatError> {
        let word = self.next("a number")?;
        number(&word.text, base).ok_or_else(|| {
            let limit = match base {
                Base::Sixteen => "a gate mask is hexadecimal, at most 32 bits",
                _ if word.text.starts_with('-') => {
                    "is negative; 0 or more (a base-time may be later by any number of cycles)"
                }
                _ => "tc takes a whole number here, without a unit; times are nanoseconds",
            };
            FormatError::value(word.place(), format!("`{}`: {limit}", word.text))
        })
    }

    /// As many numbers as follow; what is none is the next argument.
    fn numbers(&mut self) -> Vec<u64> {
        let words = self.list(|word| number(word, Base::Ten).is_some());
        words
            .iter()
            .filter_map(|word| number(word, Base::Ten))
            .collect()
    }

    fn list(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        std::iter::from_fn(|| self.take_if(&wanted))
            .take(LIST_MAX)
            .map(|word| word.text)
            .collect()
    }
}

/// `COUNT@OFFSET`, each of 16 bits.
fn is_range_of_queues(word: &str) -> bool {
    let is_number = |text: &str| number(text, Base::Ten).is_some_and(|n| n <= u16::MAX.into());
    word.split_once('@')
        .is_some_and(|(count, offset)| is_number(count) && is_number(offset))
}

fn number(text: &str, base: Base) -> Option<u64> {
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let (digits, radix) = match (base, hexadecimal) {
        (Base::Ten, _) => (text, 10),
        (Base::Sixteen, _) => (hexadecimal.unwrap_or(text), 16),
        (Base::Any, Some(digits)) => (digits, 16),
        (Base::Any, None) if text.len() > 1 && text.starts_with('0') => (text, 8),
        (Base::Any, None) => (text, 10),
    };
    let digits_only = digits.chars().all(|digit| digit.is_digit(radix)); // from_str_radix takes a sign
    let value = u64::from_str_radix(digits, radix).ok()?;
    let limit = match base {
        Base::Ten => i64::MAX as u64,
        Base::Sixteen | Base::Any => u32::MAX.into(),
    };
    (digits_only && value <= limit).then_some(value)
}
