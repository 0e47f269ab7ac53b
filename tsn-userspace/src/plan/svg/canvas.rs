//! The elements of an SVG document.

use crate::plan::Plan;

/// The width of the document.
pub const WIDTH: f64 = 960.0;
/// Where text begins, and all ends.
pub const LEFT: f64 = 16.0;
pub const RIGHT: f64 = 940.0;
/// Where the picture begins.
pub const PICTURE: f64 = 140.0;

const STYLE: &str = include_str!("style.css");
/// White lines over a bar, for what must be told apart without colours.
const HATCH: &str = "<pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" \
                     patternTransform=\"rotate(45)\"><path class=\"stroke\" d=\"M1 0V5\"/></pattern>";

/// A document that is being drawn.
pub struct Canvas {
    body: String,
    start_ns: i64,
    length_ns: f64,
}

impl Canvas {
    pub fn new(plan: &Plan) -> Self {
        Self {
            body: String::new(),
            start_ns: plan.start_ns(),
            length_ns: (plan.end_ns().abs_diff(plan.start_ns()) as f64).max(1.0),
        }
    }

    /// Where a time lies, inside the picture.
    pub fn x(&self, t: i64) -> f64 {
        let share = (t as f64 - self.start_ns as f64) / self.length_ns;
        PICTURE + share.clamp(0.0, 1.0) * (RIGHT - PICTURE)
    }

    pub fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let class = attribute("class", class);
        let text = escaped(text);
        self.push(&format!(
            "<text x=\"{}\" y=\"{}\"{class}>{text}</text>",
            Number(x),
            Number(y)
        ));
    }

    pub fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.rect_with(class, x, y, width, height, "");
    }

    /// `more` are further attributes, as they stand.
    pub fn rect_with(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64, more: &str) {
        let class = attribute("class", class);
        let (x, y, width, height) = (Number(x), Number(y), Number(width), Number(height));
        self.push(&format!(
            "<rect{class} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{more}/>"
        ));
    }

    pub fn vertical(&mut self, class: &str, x: f64, from: f64, to: f64) {
        let (x, from, to) = (Number(x), Number(from), Number(to));
        self.push(&format!("<path class=\"{class}\" d=\"M{x} {from}V{to}\"/>"));
    }

    pub fn horizontal(&mut self, class: &str, from: f64, to: f64, y: f64) {
        let (y, from, to) = (Number(y), Number(from), Number(to));
        self.push(&format!("<path class=\"{class}\" d=\"M{from} {y}H{to}\"/>"));
    }

    /// What belongs together, with a text that is shown when pointed at.
    pub fn group(&mut self, class: &str, title: &str, draw: impl FnOnce(&mut Self)) {
        self.push(&format!("<g{}>", attribute("class", class)));
        if !title.is_empty() {
            self.push(&format!("<title>{}</title>", escaped(title)));
        }
        draw(self);
        self.push("</g>");
    }

    /// The document.
    pub fn finish(self, height: f64, title: &str, description: &str) -> String {
        let (width, height) = (Number(WIDTH), Number(height));
        let (title, description) = (escaped(title), escaped(description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-labelledby=\"title description\">\n\
             <title id=\"title\">{title}</title>\n<desc id=\"description\">{description}</desc>\n\
             <style>\n{STYLE}</style>\n<defs>{HATCH}</defs>\n\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            self.body
        )
    }

    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

fn attribute(name: &str, value: &str) -> String {
    if value.is_empty() {
        String::new()
    } else {
        format!(" {name}=\"{value}\"")
    }
}

/// Text as XML takes it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A coordinate, to a hundredth.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.2}", self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}
