//! The classes, and whatever dropped a frame.

use ratatui::style::{Color, Style};
use ratatui::text::Line;

use super::text::{Column, count, flow, number, rate, row, text, title};
use crate::drops::named;
use crate::watch::model::{ClassRow, Model};

/// The columns, and from which width of the terminal on they are shown.
const COLUMNS: [(Column, usize); 9] = [
    (text("class", 13), 0),
    (number("queued", 7), 0),
    (number("recv/s", 7), 0),
    (number("sent/s", 7), 0),
    (number("late", 6), 0),
    (number("overrun", 7), 0),
    (number("dropped", 7), 0),
    (number("bit/s", 7), 80),
    (number("guard", 6), 80),
];

/// One line for each class.
pub fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let columns = || {
        let shown = COLUMNS.iter().filter(|(_, from)| width >= *from);
        shown.map(|(column, _)| *column)
    };
    let header = row(columns().map(|column| (column, column.title.to_owned())));
    let mut lines = vec![title(header)];
    lines.extend(model.classes().iter().map(|class| {
        let cells = columns().map(|column| (column, cell(column, class)));
        let counters = class.class;
        let style = if counters.sent_late + counters.transmission_overruns + class.dropped() > 0 {
            Style::new().fg(Color::Yellow)
        } else {
            Style::new()
        };
        Line::styled(row(cells), style)
    }));
    lines
}

fn cell(column: Column, row: &ClassRow<'_>) -> String {
    let class = row.class;
    match column.title {
        "queued" => count(class.queued),
        "recv/s" => rate(row.received_per_s),
        "sent/s" => rate(row.sent_per_s),
        "late" => count(class.sent_late),
        "overrun" => count(class.transmission_overruns),
        "dropped" => count(row.dropped()),
        "bit/s" => rate(row.sent_bits_per_s),
        "guard" => row
            .guard_band_share
            .map_or("-".to_owned(), |share| format!("{:.1}%", share * 100.0)),
        _ => format!(
            "{} {}",
            class.number,
            class.name.as_deref().unwrap_or_default()
        ),
    }
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
