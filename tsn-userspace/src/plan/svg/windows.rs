//! The windows of one row.

use super::canvas::Canvas;
use crate::durations::signed_duration;
use crate::plan::model::{Plan, Row, Window};
use crate::plan::parts::{Part, parts};

/// A window that is narrower is drawn as wide as this, so that it is seen.
const NARROWEST: f64 = 0.75;
/// A window that is narrower is drawn without its parts.
const WITHOUT_PARTS: f64 = 3.0;

/// Draws a bar for each window that lies in the picture.
pub fn draw(canvas: &mut Canvas, plan: &Plan, row: &Row, y: f64, height: f64) {
    canvas.group(&format!("c{}", row.classes[0]), "", |canvas| {
        for window in &row.windows {
            let open = window.open_ns.unwrap_or(i64::MIN).max(plan.start_ns());
            let close = window.close_ns.unwrap_or(i64::MAX).min(plan.end_ns());
            if open >= close {
                continue;
            }
            let (from, to) = (canvas.x(open), canvas.x(close));
            let data = format!(" data-open-ns=\"{open}\" data-close-ns=\"{close}\"");
            if to - from < WITHOUT_PARTS {
                canvas.rect_with("", from, y, (to - from).max(NARROWEST), height, &data);
                continue;
            }
            canvas.group("", &title(row, window), |canvas| {
                canvas.rect_with("margin", from, y, to - from, height, &data);
                for (from, to, part) in parts(plan, window) {
                    let (from, to) = (canvas.x(from), canvas.x(to));
                    let classes: &[&str] = match part {
                        _ if from >= to => &[],
                        Part::Usable => &[""],
                        Part::Guard => &["guard", "hatch"],
                        Part::Margin => &[],
                    };
                    for class in classes {
                        canvas.rect(class, from, y, to - from, height);
                    }
                }
                draw_frames(canvas, plan, row, window, y + height - 8.0);
            });
        }
    });
}

/// One longest frame of each stream, one after the other from the first instant on at which one may start.
fn draw_frames(canvas: &mut Canvas, plan: &Plan, row: &Row, window: &Window, y: f64) {
    let Some(open) = window.open_ns else { return };
    let wire_time = i64::try_from(row.longest_frame.wire_time_ns).unwrap_or(i64::MAX);
    let mut start = open.saturating_add_unsigned(plan.lead_ns);
    for _ in 0..row.frames() {
        let end = start.saturating_add(wire_time);
        let (from, to) = (canvas.x(start), canvas.x(end));
        let is_late = window.latest_start_ns.is_some_and(|latest| start > latest);
        if is_late || start < plan.start_ns() || end > plan.end_ns() || to - from < 1.5 {
            return;
        }
        canvas.rect("frame", from, y, to - from, 5.5);
        start = end;
    }
}

fn title(row: &Row, window: &Window) -> String {
    let at = |t: Option<i64>, none: &str| t.map_or(none.to_owned(), signed_duration);
    let mut title = format!(
        "class {}: open from {} to {}",
        crate::plan::table::class(row),
        at(window.open_ns, "before"),
        at(window.close_ns, "after"),
    );
    if let Some(latest) = window.latest_start_ns {
        title += &format!(
            "; a frame of {} bytes starts by {}",
            row.longest_frame.sdu_bytes,
            signed_duration(latest)
        );
    }
    if let Some(spare) = window.spare_ns {
        title += &format!("; spare {}", signed_duration(spare));
    }
    title
}
