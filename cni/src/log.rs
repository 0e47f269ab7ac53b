//! What the plugin has to say beside its answer: lines on standard error, which runtimes put into their own log.

use std::fmt::Display;
use std::io::{Write, stderr};

/// Writes a line, and no more than one whatever is in the message. A log that nobody takes is no reason to fail.
pub(crate) fn line(message: impl Display) {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let message: String = message.to_string().chars().map(printable).collect();
    let _ = writeln!(stderr().lock(), "tsn-cni: {message}");
}
