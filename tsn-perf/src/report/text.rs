//! Text and numbers as the page shows them.

use std::fmt;

/// Text with all that HTML and SVG would take as markup escaped.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML, and so SVG, has no other control characters.
                control if control.is_control() && !"\t\n\r".contains(control) => {
                    f.write_char('\u{fffd}')?;
                }
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

/// Escaped text, cut to what fits beside a figure.
pub struct Shortened<'a>(pub &'a str);

const LABEL_CHARACTERS: usize = 16;

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(LABEL_CHARACTERS) {
            Some((end, _)) => write!(f, "{}…", Escaped(&self.0[..end])),
            None => Escaped(self.0).fmt(f),
        }
    }
}

/// A count, its thousands set apart by narrow spaces.
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str("\u{202f}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Signed nanoseconds, in µs with their sign.
pub struct SignedMicroseconds(pub i64);

impl fmt::Display for SignedMicroseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.0 {
            0 => "",
            value if value < 0 => "\u{2212}",
            _ => "+",
        };
        write!(f, "{sign}{:.1}", self.0.unsigned_abs() as f64 / 1e3)
    }
}

/// Unsigned nanoseconds, in µs, without needless digits.
pub struct Microseconds(pub u64);

impl fmt::Display for Microseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        let escaped = Escaped("<a href=\"x\">'&'</a>\u{0}").to_string();
        let expected = "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;\u{fffd}";
        assert_eq!(escaped, expected);
    }

    #[test]
    fn a_long_label_is_cut_between_characters() {
        assert_eq!(Shortened("<µ>").to_string(), "&lt;µ&gt;");
        assert_eq!(Shortened(&"µ".repeat(17)).to_string(), "µ".repeat(16) + "…");
    }

    #[test]
    fn numbers_are_set_for_reading() {
        assert_eq!(Count(7).to_string(), "7");
        assert_eq!(Count(1_234_567).to_string(), "1\u{202f}234\u{202f}567");
        assert_eq!(SignedMicroseconds(-1_250).to_string(), "\u{2212}1.2");
        assert_eq!(SignedMicroseconds(700).to_string(), "+0.7");
        assert_eq!(SignedMicroseconds(0).to_string(), "0.0");
        assert_eq!(Microseconds(1_000_000).to_string(), "1000");
        assert_eq!(Microseconds(12_500).to_string(), "12.5");
    }
}
