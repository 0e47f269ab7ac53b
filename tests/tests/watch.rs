//! `tsnctl watch`: one view as text, and a terminal that it lives in.

mod common;

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{BOUND, Bed, Settings, VIDEO, traffic::Talker};
use nix::pty::{OpenptyResult, Winsize, openpty};
use tsn_tests::{
    clients::binary,
    daemon::Daemon,
    wait::{wait_for, wait_until},
};

fn watch(daemon: &Daemon, arguments: &[&str]) -> Output {
    Command::new(binary("tsnctl").unwrap())
        .arg("--control")
        .arg(daemon.control.socket())
        .arg("watch")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn one_view_shows_what_leaves_and_fits_its_width() {
    let bed = Bed::new(1);
    let daemon = bed.start(&bed.configuration(&Settings::default()));
    let (from, to) = (bed.near(1), bed.far(1));
    let video = Talker::start(from, to, VIDEO, 200, Duration::from_millis(1));
    video.wait_more(100);
    for width in [60, 100, 200] {
        let columns = width.to_string();
        let output = watch(
            &daemon,
            &["--once", "--interval", "300ms", "--width", &columns],
        );
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        for part in [
            "uplink0 up 1000Mb/s",
            "cycle 1.00ms at ",
            "5 video",
            "pod1/timed",
            "▼",
        ] {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
        // A rate that was measured, and more than nothing.
        let line = text.lines().find(|line| line.contains("pod1/video"));
        let line = line.unwrap_or_else(|| panic!("no stream `video` in:\n{text}"));
        let rate = if width < 140 { 1 } else { 2 }; // behind the class
        let rate = line.split_whitespace().nth(rate).unwrap();
        let rate = rate.trim_end_matches('k').parse::<f64>().unwrap();
        assert!(rate > 0.0, "{line}");
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{line}");
        }
    }
    video.finish();

    // Without a terminal there is nothing to draw on.
    let output = watch(&daemon, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--once"));

    // Without a daemon there is nothing to show.
    let control = daemon.control.clone();
    daemon.terminate().unwrap();
    let output = Command::new(binary("tsnctl").unwrap())
        .arg("--control")
        .arg(control.socket())
        .args(["watch", "--once"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no tsnd listens"));
}

/// A terminal with a `tsnctl watch` in it.
struct Terminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn open(daemon: &Daemon) -> Self {
        let size = Winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new(binary("tsnctl").unwrap())
            .arg("--control")
            .arg(daemon.control.socket())
            .args(["watch", "--interval", "100ms"])
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keys = File::from(master);
        let shown = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn({
            let (mut output, shown) = (keys.try_clone().unwrap(), Arc::clone(&shown));
            move || {
                let mut piece = [0; 4096];
                // Ends with an error when the other end is closed.
                while let Ok(length @ 1..) = output.read(&mut piece) {
                    shown.lock().unwrap().extend_from_slice(&piece[..length]);
                }
            }
        });
        Self { child, keys, shown }
    }

    fn wait_shown(&self, text: &str) {
        wait_until(&format!("`{text}` on the terminal"), BOUND, || {
            String::from_utf8_lossy(&self.shown.lock().unwrap()).contains(text)
        })
        .unwrap();
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn on_a_terminal_it_follows_the_daemon_through_a_restart_until_q() {
    let bed = Bed::new(1);
    let configuration = bed.configuration(&Settings::default());
    let daemon = bed.start(&configuration);
    let mut terminal = Terminal::open(&daemon);
    terminal.wait_shown("pod1/timed");
    terminal.press(b"\r");
    terminal.wait_shown("kernel programs: ");
    daemon.terminate().unwrap();
    terminal.wait_shown("no answer, trying again: ");
    terminal.press(b"\x1b");
    terminal.wait_shown("best-effort");
    terminal.shown.lock().unwrap().clear();
    let daemon = bed.start(&configuration);
    // Only what has changed is drawn: the header is where the message was.
    terminal.wait_shown("clock ");
    terminal.press(b"q");
    let status = wait_for("the end of tsnctl", BOUND, || {
        terminal.child.try_wait().unwrap()
    });
    assert!(status.unwrap().success());
    // The terminal is as it was.
    terminal.wait_shown("\x1b[?1049l");
    daemon.terminate().unwrap();
}
