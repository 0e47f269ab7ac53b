//! Other tools' schedules: any text is refused with an error, or is an uplink that every format that can say it gives
//! back.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The modules themselves, not their crate: that would bring AF_XDP's C libraries into the instrumented build.
#[allow(dead_code, unused_imports)]
#[path = "../../tsn-userspace/src/config/mod.rs"]
mod config;
#[allow(dead_code, unused_imports)]
#[path = "../../tsn-userspace/src/formats/mod.rs"]
mod formats;

use formats::{Format, Selection, read, write};

const FORMATS: [Format; 4] = [Format::Tsnd, Format::Yang, Format::Taprio, Format::Tsnkit];

// The first character says what the rest is; of tsnkit's files, three are divided by lines of `---`.
fuzz_target!(|text: &str| {
    let Some(which) = text.chars().next().and_then(|first| first.to_digit(10)) else {
        return;
    };
    let format = FORMATS[which as usize % FORMATS.len()];
    let mut files = text[1..].split("---\n");
    let text = files.next().unwrap_or_default();
    let selection = Selection {
        link: Some("(0, 1)"),
        offsets: files.next(),
        queues: files.next(),
        device: None,
    };
    let _ = formats::guess(text);
    let uplink = match read(format, text, selection) {
        Ok(converted) => converted.document,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    // What tsnd itself runs, it can always write; the others may lack a way to say it.
    assert!(write(Format::Tsnd, &uplink).is_ok());
    for format in [Format::Tsnd, Format::Yang, Format::Taprio] {
        let Ok(written) = write(format, &uplink) else {
            continue;
        };
        let again = read(format, &written.document, Selection::default());
        // A cycle rounded to whole nanoseconds may be no fraction of 32-bit numbers.
        let rounded = written
            .losses
            .iter()
            .any(|loss| loss.field.ends_with("admin-cycle-time"));
        match again {
            Ok(again) => assert!(
                again.losses.is_empty(),
                "{:?} in {}",
                again.losses,
                written.document
            ),
            Err(error) => assert!(rounded, "{error}: {}", written.document),
        }
    }
});
