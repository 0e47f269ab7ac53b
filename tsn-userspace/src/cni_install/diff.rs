//! A change as people read it.

use std::fmt::Write;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The lines that go and come between two texts, which differ in one place, in the form of `diff -u`.
pub fn diff(name: &str, before: &str, after: &str) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let pairs = before.iter().zip(&after);
    let head = pairs.take_while(|(old, new)| old == new).count();
    let rest = before.len().min(after.len()) - head;
    let pairs = before.iter().rev().zip(after.iter().rev()).take(rest);
    let tail = pairs.take_while(|(old, new)| old == new).count();

    let start = head.saturating_sub(CONTEXT);
    let (old_end, new_end) = (before.len() - tail, after.len() - tail);
    let context = &before[old_end..(old_end + CONTEXT).min(before.len())];
    let mut text = format!(
        "--- {name}\n+++ {name}\n@@ -{line},{} +{line},{} @@\n",
        old_end + context.len() - start,
        new_end + context.len() - start,
        line = start + 1,
    );
    for (mark, lines) in [
        (' ', &before[start..head]),
        ('-', &before[head..old_end]),
        ('+', &after[head..new_end]),
        (' ', context),
    ] {
        for line in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{mark}{line}");
        }
    }
    text
}
