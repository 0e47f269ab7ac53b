//! The classes, and whatever dropped a frame.

use ratatui::style::{Color, Style};
use ratatui::text::Line;

use super::text::{count, flow, number, rate, row, text, title};
use crate::watch::model::{ClassRow, Model, named};

/// One line for each class.
pub fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let columns = [
        text("class", if width < 80 { 13 } else { 20 }),
        number("queued", 7),
        number("recv/s", 7),
        number("sent/s", 7),
        number("late", 6),
        number("overrun", 7),
        number("dropped", 7),
    ];
    let header = row(columns.map(|column| (column, column.title.to_owned())));
    let mut lines = vec![title(header)];
    lines.extend(model.classes().iter().map(
        |ClassRow {
             class,
             received_per_s,
             sent_per_s,
         }| {
            let name = class.name.as_deref().unwrap_or_default();
            let dropped = class.drops.values().sum();
            let cells = [
                format!("{} {name}", class.number),
                count(class.queued),
                rate(*received_per_s),
                rate(*sent_per_s),
                count(class.sent_late),
                count(class.transmission_overruns),
                count(dropped),
            ];
            let is_bad = class.sent_late + class.transmission_overruns + dropped > 0;
            let style = if is_bad {
                Style::new().fg(Color::Yellow)
            } else {
                Style::new()
            };
            Line::styled(row(columns.into_iter().zip(cells)), style)
        },
    ));
    lines
}

/// The causes of all drops that there were: of classes, of the uplink, of pods.
pub fn drops(model: &Model, width: usize) -> Vec<Line<'static>> {
    let Some(latest) = &model.latest else {
        return Vec::new();
    };
    let classes = latest.status.classes.iter().rev();
    let classes = classes.map(|class| (format!("class {}", class.number), &class.drops));
    let uplink = [("uplink".to_owned(), &latest.status.uplink.drops)];
    let pods = latest
        .pods
        .iter()
        .map(|pod| (format!("pod {}", pod.pod.name), &pod.drops));
    let segments: Vec<String> = classes
        .chain(uplink)
        .chain(pods)
        .map(|(who, drops)| (who, named(drops)))
        .filter(|(_, causes)| !causes.is_empty())
        .map(|(who, causes)| format!("{who}: {}", causes.join(", ")))
        .collect();
    if segments.is_empty() {
        return Vec::new();
    }
    let segments = [&["drops".to_owned()], &*segments].concat();
    flow(&segments, "  ", width)
        .into_iter()
        .map(Line::from)
        .collect()
}
