//! A finished drawing that can stand in a page of HTML as well as in a document of SVG.

use std::fmt::{self, Write};

use super::plot::WIDTH;

/// A drawing of the width that all figures have.
pub struct Figure {
    label: &'static str,
    height: f64,
    body: String,
}

impl Figure {
    /// A figure that `draw` writes, which also tells its height. `label` says what it is to those who do not see it.
    pub fn new(
        label: &'static str,
        draw: impl FnOnce(&mut String) -> Result<f64, fmt::Error>,
    ) -> Result<Self, fmt::Error> {
        let mut body = String::new();
        let height = draw(&mut body)?;
        Ok(Self {
            label,
            height,
            body,
        })
    }

    /// How high it is, in units of the figure.
    pub fn height(&self) -> f64 {
        self.height
    }

    /// Writes it as an element of an HTML page, scaled to the page.
    pub fn write_inline(&self, out: &mut impl Write) -> fmt::Result {
        self.write(out, "")
    }

    /// Writes it as a part of an SVG document.
    pub fn write_at(&self, out: &mut impl Write, x: f64, y: f64) -> fmt::Result {
        let place = format!(
            " x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{}\"",
            self.height
        );
        self.write(out, &place)
    }

    fn write(&self, out: &mut impl Write, place: &str) -> fmt::Result {
        let Self {
            label,
            height,
            body,
        } = self;
        writeln!(
            out,
            "<svg{place} viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n{body}</svg>"
        )
    }
}
