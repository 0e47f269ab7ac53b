//! What is drawn: lines of text, one section below the other.

mod classes;
mod gates;
mod header;
mod help;
mod pod;
mod streams;
mod text;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::keys::Look;
use super::model::Model;

/// Everything, for one size of the terminal.
pub struct View<'a> {
    pub model: &'a Model,
    pub look: &'a Look,
}

impl Widget for View<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let Some(body_height) = height.checked_sub(1) else {
            return;
        };
        let lines = self.lines(width, body_height);
        let places = area.rows();
        for (line, place) in lines.into_iter().take(body_height).zip(places) {
            line.render(place, buffer);
        }
        let footer = Rect {
            y: area.bottom() - 1,
            height: 1,
            ..area
        };
        self.footer(width).render(footer, buffer);
    }
}

impl View<'_> {
    /// The view without its footer; not much longer than `height`, if it can be helped.
    pub fn lines(&self, width: usize, height: usize) -> Vec<Line<'static>> {
        if self.look.help {
            return help::lines();
        }
        let mut lines = header::failure(self.model, width);
        let Some(sample) = &self.model.latest else {
            if lines.is_empty() {
                lines.push(Line::from("asking tsnd ..."));
            }
            return lines;
        };
        let status = &sample.status;
        lines.extend(header::lines(self.model, status, width));
        if let Some(pod) = &self.look.pod {
            let left = height.saturating_sub(lines.len());
            lines.extend(pod::lines(self.model, self.look, pod, width, left));
            return lines;
        }
        lines.extend(header::not_attached(sample, width));
        let classes = classes::lines(self.model, width);
        let drops = classes::drops(self.model, width);
        let streams = self.model.streams(None).len() + 1;
        let fixed = lines.len() + classes.len() + drops.len();
        // A picture of each class, if the streams have their place too.
        let for_gates = height.saturating_sub(fixed + streams.min(5));
        let gates = gates::lines(status, width, for_gates);
        let is_roomy = fixed + gates.len() + streams + 4 <= height;
        for section in [gates, classes, drops] {
            if is_roomy && !section.is_empty() {
                lines.push(Line::default());
            }
            lines.extend(section);
        }
        if is_roomy {
            lines.push(Line::default());
        }
        let left = height.saturating_sub(lines.len());
        lines.extend(streams::lines(self.model, self.look, width, left));
        lines
    }

    fn footer(&self, width: usize) -> Line<'static> {
        let keys = match (self.look.help, &self.look.pod) {
            (true, _) => "Esc back  q quit",
            (false, Some(_)) => "Esc back  ↑↓ select  s/S sort  p pause  ? help  q quit",
            (false, None) => "↑↓ select  Enter pod  s/S sort  p pause  ? help  q quit",
        };
        let paused = if self.look.paused { "PAUSED  " } else { "" };
        text::title(text::cut(format!("{paused}{keys}"), width))
    }
}

#[cfg(test)]
mod tests;
