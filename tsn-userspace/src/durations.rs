//! Durations as people read them.

/// A duration, exactly, in the largest unit that needs no more than three decimals: `12.336 µs`.
pub fn duration(ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    for (scale, unit) in units {
        if ns >= scale && ns.is_multiple_of(scale / 1_000) {
            let thousandths = ns % scale / (scale / 1_000);
            let decimals = format!(".{thousandths:03}");
            let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
            return format!("{}{decimals} {unit}", ns / scale);
        }
    }
    format!("{ns} ns")
}

/// A duration that may be negative.
pub fn signed_duration(ns: i64) -> String {
    let sign = if ns < 0 { "−" } else { "" };
    format!("{sign}{}", duration(ns.unsigned_abs()))
}

/// A duration in few columns, rounded: `340ns`, `2.8µs`, `1.20ms`.
pub fn rounded_duration(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{:.1}µs", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2}ms", value / 1e6),
        _ => format!("{:.2}s", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_and_short() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (12_336, "12.336 µs"),
            (300_000, "300 µs"),
            (1_000_000, "1 ms"),
            (1_500_000, "1.5 ms"),
            (1_000_500, "1000.5 µs"),
            (1_234_567_891, "1234567.891 µs"),
            (2_000_000_000, "2 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
        assert_eq!(
            [999, 2_840, 1_200_000].map(rounded_duration),
            ["999ns", "2.8µs", "1.20ms"]
        );
        assert_eq!(signed_duration(-3_500), "−3.5 µs");
        assert_eq!(signed_duration(i64::MIN), format!("−{}", duration(1 << 63)));
    }
}
