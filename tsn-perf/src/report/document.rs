//! The report's figures as one SVG document.

use std::fmt::{self, Write};

use super::data::Report;
use super::page::{STYLE, colour_of};
use super::plot::WIDTH;
use super::text::Escaped;
use super::{cdf, cycle, histogram, overview};

const MARGIN: f64 = 20.0;
const HEADING_HEIGHT: f64 = 34.0;

/// What stands in the document, from top to bottom, and how far down it has come.
struct Document {
    body: String,
    bottom: f64,
}

/// The report's figures as one SVG document that needs nothing else, light or dark as the reader's system is.
pub fn svg(report: &Report) -> String {
    let mut out = String::new();
    // Only a formatter that fails could make this fail, and a String's does not.
    document(&mut out, report).expect("a String takes all that is written to it");
    out
}

fn document(out: &mut impl Write, report: &Report) -> fmt::Result {
    let mut document = Document {
        body: String::new(),
        bottom: MARGIN,
    };
    let colour = |name: &str| colour_of(report, name);
    document.heading("title", &report.title)?;
    document.figure(
        "How far from its launch time each stream arrived",
        overview::draw(report, colour)?,
    )?;
    document.figure(
        "Frames that had arrived so long after their launch time",
        cdf::draw(report, colour)?,
    )?;
    for run in &report.runs {
        let heading = format!("{}: when in the cycle each frame arrived", run.name);
        document.figure(&heading, Some(cycle::draw(report, run, colour)?))?;
        for stream in &run.streams {
            let heading = format!("{}: how punctual {} was", run.name, stream.name);
            document.figure(&heading, histogram::draw(stream, &colour(&stream.name))?)?;
        }
    }
    let (width, height) = (WIDTH + 2.0 * MARGIN, document.bottom + MARGIN);
    write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
        Escaped(&report.title),
        document.body
    )
}

impl Document {
    fn heading(&mut self, class: &str, text: &str) -> fmt::Result {
        let baseline = self.bottom + 20.0;
        self.bottom += HEADING_HEIGHT;
        writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{baseline}\">{}</text>",
            Escaped(text)
        )
    }

    fn figure(&mut self, heading: &str, figure: Option<super::figure::Figure>) -> fmt::Result {
        let Some(figure) = figure else {
            return Ok(());
        };
        self.heading("strong", heading)?;
        figure.write_at(&mut self.body, MARGIN, self.bottom)?;
        self.bottom += figure.height() + MARGIN;
        Ok(())
    }
}
