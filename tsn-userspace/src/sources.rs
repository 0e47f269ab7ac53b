//! Errors for people.

use std::error::Error;
use std::fmt::{self, Write};

/// An error with what caused it, in one line.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The same without an allocation: instead of `text`, as far as its capacity reaches.
pub(crate) fn write_within_capacity(text: &mut String, error: &dyn Error) {
    text.clear();
    let mut next = Some(error);
    while let Some(error) = next {
        let before = text.len();
        let separator = if before == 0 { "" } else { ": " };
        if write!(Capped(text), "{separator}{error}").is_err() {
            return;
        }
        let (earlier, added) = text.split_at(before);
        if before > 0 && earlier.contains(added.trim_start_matches(separator)) {
            text.truncate(before);
        }
        next = error.source();
    }
}

/// A text that does not grow beyond its capacity: it takes what there is room for, and then fails.
struct Capped<'a>(&'a mut String);

impl Write for Capped<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.0.capacity() - self.0.len();
        let fits = part.floor_char_boundary(room);
        self.0.push_str(&part[..fits]);
        if fits == part.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the device of {0} is away")]
    struct Away(&'static str, #[source] std::io::Error);

    #[test]
    fn without_an_allocation_the_text_is_the_same_or_shorter() {
        let error = Away("Zürich", std::io::Error::from_raw_os_error(100));
        let whole = with_sources(&error);
        for capacity in 0..whole.len() + 20 {
            let mut text = String::with_capacity(capacity);
            let room = text.capacity();
            write_within_capacity(&mut text, &error);
            assert_eq!(text.capacity(), room, "it has grown");
            assert!(whole.starts_with(&text), "{text}");
            assert_eq!(text == whole, room >= whole.len(), "{text}");
        }
    }
}
