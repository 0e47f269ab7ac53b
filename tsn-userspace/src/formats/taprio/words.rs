//! A pasted piece of shell as commands of words. Not a shell: what a shell would expand is refused.

use super::super::FormatError;

/// A word and where it starts, both counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    pub text: String,
    pub line: usize,
    pub column: usize,
}

impl Word {
    pub fn place(&self) -> String {
        format!("line {}, column {}", self.line, self.column)
    }
}

/// The commands of a text: one for each line, but for lines that end in a backslash. `#` begins a comment.
pub fn commands(text: &str) -> Vec<Vec<Word>> {
    let mut commands = Vec::new();
    let mut words: Vec<Word> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_end();
        let (line, goes_on) = match trimmed.strip_suffix('\\') {
            Some(rest) => (rest, true),
            None => (trimmed, false),
        };
        let mut comment = false;
        for word in split(line, number + 1) {
            comment |= word.text.starts_with('#');
            if comment {
                break;
            }
            match word.text.strip_suffix(';') {
                Some(text) => {
                    let text = text.to_owned();
                    if !text.is_empty() {
                        words.push(Word { text, ..word });
                    }
                    commands.push(std::mem::take(&mut words));
                }
                None => words.push(word),
            }
        }
        // The backslash of a comment is part of it.
        if comment || !goes_on {
            commands.push(std::mem::take(&mut words));
        }
    }
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

fn split(line: &str, number: usize) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut inside = false;
    for (column, character) in line.chars().enumerate() {
        let space = character.is_whitespace();
        match words.last_mut() {
            Some(word) if inside && !space => word.text.push(character),
            _ if !space => words.push(Word {
                text: character.to_string(),
                line: number,
                column: column + 1,
            }),
            _ => {}
        }
        inside = !space;
    }
    words
}

/// The word without its quotes.
pub fn unquoted(word: Word) -> Result<Word, FormatError> {
    let quoted = |quote: char| {
        word.text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
    };
    let text = quoted('"')
        .or(quoted('\''))
        .unwrap_or(&word.text)
        .to_owned();
    if let Some(special) = text.chars().find(|c| "$`\"'\\|&<>(){}*?;".contains(*c)) {
        return Err(FormatError::value(
            word.place(),
            format!(
                "`{}`: a shell would do something with `{special}`; write what comes of it",
                word.text
            ),
        ));
    }
    Ok(Word { text, ..word })
}
