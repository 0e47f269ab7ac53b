//! Whole views against those that were looked at and found good.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::watch::samples::model;

/// Set to write the views anew instead of comparing them; then look at the difference.
const WRITE_VARIABLE: &str = "TSN_WRITE_GOLDEN";

fn drawn(model: &Model, look: &Look, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| frame.render_widget(View { model, look }, frame.area()))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(width));
    let lines = rows.map(|row| {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

fn assert_golden(name: &str, drawn: &str) {
    let path = format!(
        "{}/src/bin/tsnctl/watch/golden/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os(WRITE_VARIABLE).is_some() {
        std::fs::write(&path, drawn).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == drawn,
        "{path} is\n{golden}\nand drawn was\n{drawn}"
    );
}

fn pressed(keys: &[KeyCode]) -> Look {
    let mut look = Look::default();
    for key in keys {
        look.press(KeyEvent::new(*key, KeyModifiers::NONE), &model());
    }
    look
}

#[test]
fn the_overview_at_three_sizes() {
    for (name, width, height) in [
        ("overview-60", 60, 20),
        ("overview-100", 100, 30),
        ("overview-180", 180, 50),
    ] {
        assert_golden(name, &drawn(&model(), &Look::default(), width, height));
    }
}

#[test]
fn a_pod_at_three_sizes() {
    let look = pressed(&[KeyCode::Down, KeyCode::Enter]);
    for (name, width, height) in [
        ("pod-60", 60, 20),
        ("pod-100", 100, 30),
        ("pod-180", 180, 50),
    ] {
        assert_golden(name, &drawn(&model(), &look, width, height));
    }
}

#[test]
fn help_fits_the_smallest_size() {
    let help = drawn(&model(), &pressed(&[KeyCode::Char('?')]), 60, 20);
    assert_golden("help-60", &help);
    for line in super::help::lines() {
        assert!(line.width() <= 60, "{line}");
    }
}

#[test]
fn a_daemon_that_is_away_is_said_over_what_was_known() {
    let mut model = Model::default();
    model.fail("no tsnd listens on /run/tsnd/control.sock; is it running?".to_owned());
    let view = drawn(&model, &Look::default(), 60, 20);
    assert!(
        view.starts_with("no answer, trying again: no tsnd listens"),
        "{view}"
    );
    assert!(!view.contains("was before"));

    let mut model = self::model();
    model.fail("gone".to_owned());
    let view = drawn(&model, &Look::default(), 60, 20);
    assert!(
        view.starts_with("no answer, trying again: gone; what is below was before\nclock"),
        "{view}"
    );
    model.add(crate::watch::samples::after());
    let view = drawn(&model, &Look::default(), 60, 20);
    assert!(view.starts_with("clock"), "{view}");
}

#[test]
fn an_error_beyond_measure_is_shown() {
    let mut sample = crate::watch::samples::after();
    sample.status.clock.max_error_us = i64::MAX;
    let mut model = Model::default();
    model.add(sample);
    let view = drawn(&model, &Look::default(), 60, 20);
    assert!(view.contains("max error 18446744073.71s"), "{view}");
}

#[test]
fn wide_names_stay_in_their_columns() {
    let mut sample = crate::watch::samples::after();
    for class in &mut sample.status.classes {
        class.name = Some("传送带控制传送带".to_owned());
    }
    let mut model = Model::default();
    model.add(sample);
    let view = View {
        model: &model,
        look: &Look::default(),
    };
    let wide = view.lines(60, 50).into_iter();
    let wide: Vec<Line<'_>> = wide
        .filter(|line| line.to_string().contains('传'))
        .collect();
    assert_eq!(wide.len(), 3, "{wide:?}");
    for line in wide {
        assert!(line.width() <= 60, "{line}");
    }
}

#[test]
fn pods_that_are_not_attached_are_named_with_the_reason_but_not_all_of_them() {
    let waiting = |pods: usize| {
        let mut sample = crate::watch::samples::after();
        let mut pod = sample.pods.remove(0);
        pod.waits_for = Some("no such namespace".to_owned());
        sample.pods = vec![pod; pods];
        let mut model = Model::default();
        model.add(sample);
        drawn(&model, &Look::default(), 100, 30)
    };
    let count = |view: &str, text| view.matches(text).count();
    let view = waiting(1);
    assert_eq!(
        count(&view, "pod camera is not attached: no such namespace\n"),
        1
    );
    assert_eq!(count(&waiting(3), "pod camera is not attached"), 3);
    let view = waiting(9);
    assert_eq!(count(&view, "pod camera is not attached"), 2);
    assert_eq!(count(&view, "7 more pods are not attached\n"), 1);
}

#[test]
fn nothing_is_too_small() {
    let looks = [
        Look::default(),
        pressed(&[KeyCode::Enter]),
        pressed(&[KeyCode::Char('?')]),
    ];
    for look in looks {
        for (width, height) in [(1, 1), (3, 2), (20, 5), (60, 7)] {
            drawn(&model(), &look, width, height);
        }
    }
}

#[test]
fn the_selected_stream_is_always_on_the_screen() {
    let look = pressed(&[KeyCode::Down, KeyCode::Down, KeyCode::Down]);
    let view = drawn(&model(), &look, 60, 16);
    assert!(view.contains(">plc/rest"), "{view}");
    let paused = drawn(&model(), &pressed(&[KeyCode::Char('p')]), 60, 20);
    assert!(paused.contains("PAUSED"));
}

#[test]
fn the_documentation_shows_what_is_drawn() {
    let path = format!("{}/../docs/watch.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path).unwrap();
    let look = pressed(&[KeyCode::Down, KeyCode::Enter]);
    for look in [Look::default(), look] {
        let view = drawn(&model(), &look, 100, 30);
        let (body, footer) = view.trim_end().rsplit_once("\n\n").unwrap();
        for part in [body.trim_end(), footer.trim_start()] {
            assert!(page.contains(part), "docs/watch.md does not show\n{part}");
        }
    }
}
