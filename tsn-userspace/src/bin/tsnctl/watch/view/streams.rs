//! The streams: how much, how late, how exact.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use tsn_userspace::worker::histogram::BOUNDS_NS;

use super::text::{self, count, cut, error, estimate, number, rate, row, sparkline, text, title};
use crate::watch::keys::{Column, Look};
use crate::watch::model::{Model, StreamRow};

/// Buckets of the histogram, a character each.
const HISTOGRAM: usize = BOUNDS_NS.len() + 1;

/// Title, width, what it sorts by, and from which width of the terminal on it is shown.
const FIGURES: [(text::Column, Option<Column>, usize); 8] = [
    (text("class", 11), None, 140),
    (number("sent/s", 7), Some(Column::Sent), 0),
    (number("late", 5), Some(Column::Late), 0),
    (number("stalled", 8), Some(Column::Stalled), 76),
    (number("lost", 6), Some(Column::Lost), 84),
    (number("p50", 8), Some(Column::P50), 0),
    (number("p99", 8), Some(Column::P99), 0),
    (number("worst/min", 10), Some(Column::Worst), 0),
];
const HISTOGRAM_COLUMN: text::Column = text("departure-launch", HISTOGRAM);
/// From this width on the histogram is shown.
const HISTOGRAM_FROM: usize = 100;
const LONGEST_NAME: usize = 48;
/// What is shown of a pod's name, so that something of the stream's is seen too: a container ID is long.
const LONGEST_POD: usize = 24;

/// The streams in so many lines, the selected one among them.
pub fn lines(model: &Model, look: &Look, width: usize, height: usize) -> Vec<Line<'static>> {
    let mut columns: Vec<(text::Column, Option<Column>)> = FIGURES
        .iter()
        .filter(|(.., from)| width >= *from)
        .map(|(column, sort, _)| (*column, *sort))
        .collect();
    if width >= HISTOGRAM_FROM {
        columns.push((HISTOGRAM_COLUMN, None));
    }
    let figures: usize = columns.iter().map(|(column, _)| column.width + 1).sum();
    let name_width = width.saturating_sub(figures + 1).clamp(8, LONGEST_NAME);
    columns.insert(0, (text("pod/stream", name_width), Some(Column::Name)));

    let header = columns.iter().map(|(column, sort)| {
        let mark = match (*sort == Some(look.sort), look.descending) {
            (true, true) => "▼",
            (true, false) => "▲",
            (false, _) => "",
        };
        (*column, format!("{}{mark}", column.title))
    });
    let mut lines = vec![title(format!(" {}", row(header)))];

    let rows = look.ordered(model);
    let selected = look.selected_in(&rows);
    let room = height.saturating_sub(1).max(1);
    let first = (selected + 1).saturating_sub(room);
    let shown = rows.iter().enumerate().skip(first).take(room);
    lines.extend(shown.map(|(index, stream)| {
        let cells = columns
            .iter()
            .map(|(column, _)| (*column, cell(column, stream)));
        let mark = if index == selected { '>' } else { ' ' };
        let mut style = Style::new();
        if stream.stream.sent_late + stream.lost() > 0 {
            style = style.fg(Color::Yellow);
        }
        if index == selected {
            style = style.add_modifier(Modifier::REVERSED);
        }
        Line::styled(format!("{mark}{}", row(cells)), style)
    }));
    if rows.is_empty() {
        lines.push(Line::from(
            " no streams: add pods to the configuration, or POST /v1/pods",
        ));
    }
    lines
}

fn cell(column: &text::Column, row: &StreamRow<'_>) -> String {
    let stream = row.stream;
    match column.title {
        "pod/stream" => format!("{}/{}", cut(row.pod.to_owned(), LONGEST_POD), stream.name),
        "class" => row.class.clone(),
        "sent/s" => rate(row.sent_per_s),
        "late" => count(stream.sent_late),
        "stalled" => count(stream.stalled),
        "lost" => count(row.lost()),
        "p50" => estimate(row.p50),
        "p99" => estimate(row.p99),
        "worst/min" => error(stream.worst_last_minute_ns),
        _ => sparkline(&stream.launch_errors.buckets),
    }
}
