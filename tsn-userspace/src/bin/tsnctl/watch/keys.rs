//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Model, StreamRow};

/// What the streams can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Name,
    Sent,
    Late,
    Stalled,
    Lost,
    P50,
    P99,
    Worst,
}

const COLUMNS: [Column; 8] = [
    Column::Name,
    Column::Sent,
    Column::Late,
    Column::Stalled,
    Column::Lost,
    Column::P50,
    Column::P99,
    Column::Worst,
];

/// What is looked at, and how.
#[derive(Debug)]
pub struct Look {
    /// The figures stand still.
    pub paused: bool,
    /// The keys are explained.
    pub help: bool,
    /// It is over.
    pub quit: bool,
    /// The pod that is looked at alone.
    pub pod: Option<String>,
    pub sort: Column,
    pub descending: bool,
    /// Pod and stream; it stays with them wherever they are sorted to.
    selected: Option<(String, String)>,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            paused: false,
            help: false,
            quit: false,
            pod: None,
            sort: Column::Name,
            descending: false,
            selected: None,
        }
    }
}

impl Look {
    /// A key was pressed.
    pub fn press(&mut self, key: KeyEvent, model: &Model) {
        let interrupted =
            key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if interrupted => self.quit = true,
            KeyCode::Char('q') => self.quit = true,
            KeyCode::Char('?') => self.help = !self.help,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Esc => self.pod = None,
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('s') => {
                let at = COLUMNS.iter().position(|column| *column == self.sort);
                let next = at.map_or(0, |at| (at + 1) % COLUMNS.len());
                self.sort = COLUMNS[next];
                // The worst first, but names from a to z.
                self.descending = self.sort != Column::Name;
            }
            KeyCode::Char('S') => self.descending = !self.descending,
            KeyCode::Up => self.select(model, |at, _| at.saturating_sub(1)),
            KeyCode::Down => self.select(model, |at, last| (at + 1).min(last)),
            KeyCode::Enter => {
                let rows = self.ordered(model);
                let pod = rows
                    .get(self.selected_in(&rows))
                    .map(|row| row.pod.to_owned());
                self.pod = pod.or(self.pod.take());
            }
            _ => {}
        }
    }

    /// The streams that are looked at, in their order.
    pub fn ordered<'a>(&self, model: &'a Model) -> Vec<StreamRow<'a>> {
        let mut rows = model.streams(self.pod.as_deref());
        rows.sort_by(|a, b| {
            let by_name = || (a.pod, &a.stream.name).cmp(&(b.pod, &b.stream.name));
            let magnitude =
                |row: &StreamRow<'_>| row.stream.worst_last_minute_ns.map(i64::unsigned_abs);
            let order = match self.sort {
                Column::Name => by_name(),
                Column::Sent => a
                    .sent_per_s
                    .unwrap_or(-1.0)
                    .total_cmp(&b.sent_per_s.unwrap_or(-1.0)),
                Column::Late => a.stream.sent_late.cmp(&b.stream.sent_late),
                Column::Stalled => a.stream.stalled.cmp(&b.stream.stalled),
                Column::Lost => a.lost().cmp(&b.lost()),
                Column::P50 => a.p50.cmp(&b.p50),
                Column::P99 => a.p99.cmp(&b.p99),
                Column::Worst => magnitude(a).cmp(&magnitude(b)),
            };
            let order = if self.descending {
                order.reverse()
            } else {
                order
            };
            order.then_with(by_name)
        });
        rows
    }

    /// Which of the rows is selected; the first, if the selected one is gone.
    pub fn selected_in(&self, rows: &[StreamRow<'_>]) -> usize {
        let is_selected = |row: &StreamRow<'_>| {
            self.selected
                .as_ref()
                .is_some_and(|(pod, stream)| *pod == row.pod && *stream == row.stream.name)
        };
        rows.iter().position(is_selected).unwrap_or(0)
    }

    fn select(&mut self, model: &Model, step: impl Fn(usize, usize) -> usize) {
        let rows = self.ordered(model);
        let at = step(self.selected_in(&rows), rows.len().saturating_sub(1));
        let row = rows.get(at);
        self.selected = row.map(|row| (row.pod.to_owned(), row.stream.name.clone()));
    }
}

impl StreamRow<'_> {
    /// Frames that did not leave.
    pub fn lost(&self) -> u64 {
        self.stream.refused + self.stream.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::samples::model;

    fn press(look: &mut Look, keys: &[KeyCode]) {
        let model = model();
        for key in keys {
            look.press(KeyEvent::new(*key, KeyModifiers::NONE), &model);
        }
    }

    fn order(look: &Look) -> Vec<String> {
        let model = model();
        let rows = look.ordered(&model);
        let names = rows
            .iter()
            .map(|row| format!("{}/{}", row.pod, row.stream.name));
        names.collect()
    }

    fn selected(look: &Look) -> String {
        let model = model();
        let rows = look.ordered(&model);
        order(look)[look.selected_in(&rows)].clone()
    }

    const BY_NAME: [&str; 4] = ["camera/rest", "camera/video", "plc/loop", "plc/rest"];

    #[test]
    fn quit_pause_and_help() {
        let mut look = Look::default();
        press(&mut look, &[KeyCode::Char('p'), KeyCode::Char('?')]);
        assert!(look.paused && look.help && !look.quit);
        press(&mut look, &[KeyCode::Esc, KeyCode::Char('p')]);
        assert!(!look.paused && !look.help && !look.quit);
        press(&mut look, &[KeyCode::Char('x'), KeyCode::Char('c')]);
        assert!(!look.quit);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        look.press(interrupt, &model());
        assert!(look.quit);
        let mut look = Look::default();
        press(&mut look, &[KeyCode::Char('q')]);
        assert!(look.quit);
    }

    #[test]
    fn sorting_takes_the_columns_in_turn_and_turns_around() {
        let mut look = Look::default();
        assert_eq!(order(&look), BY_NAME);
        press(&mut look, &[KeyCode::Char('S')]);
        assert_eq!(
            order(&look),
            ["plc/rest", "plc/loop", "camera/video", "camera/rest"]
        );
        press(&mut look, &[KeyCode::Char('s')]);
        assert_eq!((look.sort, look.descending), (Column::Sent, true));
        assert_eq!(order(&look)[0], "plc/loop");
        while look.sort != Column::Worst {
            press(&mut look, &[KeyCode::Char('s')]);
        }
        assert_eq!(
            order(&look)[0],
            "camera/video",
            "the most negative is the worst"
        );
        press(&mut look, &[KeyCode::Char('s')]);
        assert_eq!(order(&look), BY_NAME);
    }

    #[test]
    fn the_selection_stays_with_its_stream_and_leads_into_its_pod() {
        let mut look = Look::default();
        assert_eq!(selected(&look), "camera/rest");
        press(&mut look, &[KeyCode::Up]);
        assert_eq!(selected(&look), "camera/rest");
        press(&mut look, &[KeyCode::Down, KeyCode::Down]);
        assert_eq!(selected(&look), "plc/loop");
        press(&mut look, &[KeyCode::Char('S')]);
        assert_eq!(selected(&look), "plc/loop");
        press(&mut look, &[KeyCode::Enter]);
        assert_eq!(look.pod.as_deref(), Some("plc"));
        assert_eq!(order(&look), ["plc/rest", "plc/loop"]);
        press(&mut look, &[KeyCode::Up, KeyCode::Up]);
        assert_eq!(selected(&look), "plc/rest");
        press(&mut look, &[KeyCode::Esc]);
        assert_eq!(look.pod, None);
        for _ in 0..9 {
            press(&mut look, &[KeyCode::Down]);
        }
        assert_eq!(selected(&look), "camera/rest", "the last one in this order");
    }

    #[test]
    fn keys_without_a_daemon_do_no_harm() {
        let (mut look, nothing) = (Look::default(), Model::default());
        for key in [
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Enter,
            KeyCode::Char('s'),
        ] {
            look.press(KeyEvent::new(key, KeyModifiers::NONE), &nothing);
        }
        assert_eq!(look.pod, None);
    }
}
