//! A guest's console: shown as it comes, kept in a file, and remembered.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
};

use anyhow::{Context, Result};

/// Reads to the end. Each line is shown behind `prefix` on the standard error.
///
/// # Errors
///
/// When it cannot be read or the file not be written.
pub fn follow(source: impl Read, prefix: &str, log: &Path) -> Result<Vec<String>> {
    let mut log = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let mut lines = Vec::new();
    let mut source = BufReader::new(source);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if source.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(lines);
        }
        let line = clean(&String::from_utf8_lossy(&bytes));
        if line.is_empty() && lines.last().is_none_or(String::is_empty) {
            continue; // the firmware's
        }
        writeln!(log, "{line}")?;
        eprintln!("{prefix}| {line}");
        lines.push(line);
    }
}

/// Without what moves a terminal's cursor, of which the firmware sends much.
fn clean(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // ESC [ parameters letter, or ESC letter
            if characters.next_if_eq(&'[').is_some() {
                while characters.next_if(|c| !c.is_ascii_alphabetic()).is_some() {}
            }
            characters.next();
        } else if character == '\t' || !character.is_control() {
            clean.push(character);
        }
    }
    clean.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_firmware_are_taken_out() {
        assert_eq!(
            clean("\u{1b}c\u{1b}[?7l\u{1b}[2J\u{1b}[0mSeaBIOS\r\n"),
            "SeaBIOS"
        );
        assert_eq!(clean("a\tb  \r\n"), "a\tb");
        assert_eq!(clean("\u{1b}"), "");
        assert_eq!(clean("\u{1b}["), "");
    }

    #[test]
    fn lines_are_kept_and_remembered_also_the_last_without_an_end() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let lines = follow(&b"\r\n\x1bcone\n\n\xfftwo"[..], "test", &log).unwrap();
        assert_eq!(lines, ["one", "", "\u{fffd}two"]);
        assert_eq!(
            std::fs::read_to_string(log).unwrap(),
            "one\n\n\u{fffd}two\n"
        );
    }
}
