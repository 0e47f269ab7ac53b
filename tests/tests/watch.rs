//! `tsnctl watch`: one view as text, and a terminal that it lives in.

mod common;

use std::{
    fs::{self, File},
    io::{Read, Write},
    num::NonZeroU16,
    os::fd::OwnedFd,
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use common::{BOUND, Bed, Settings, VIDEO, traffic::Talker};
use nix::{
    pty::{OpenptyResult, Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{Termios, tcgetattr},
    },
    unistd::Pid,
};
use tsn_tests::{
    clients::binary,
    daemon::Daemon,
    scratch,
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

const ROWS: NonZeroU16 = NonZeroU16::new(30).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();

/// A terminal with a `tsnctl watch` in it.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
    /// The end of the child, and its settings before the child.
    end: OwnedFd,
    settings: Termios,
}

impl Terminal {
    fn open(control: &Path) -> Self {
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        let settings = tcgetattr(&slave).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new(binary("tsnctl").unwrap())
            .arg("--control")
            .arg(control)
            .args(["watch", "--interval", "100ms"])
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keys = File::from(master);
        let screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        let screen = Arc::new(Mutex::new(screen));
        thread::spawn({
            let (mut output, screen) = (keys.try_clone().unwrap(), Arc::clone(&screen));
            move || {
                let mut piece = [0; 4096];
                // Ends with an error when the other end is closed.
                while let Ok(length @ 1..) = output.read(&mut piece) {
                    screen.lock().unwrap().process(&piece[..length]);
                }
            }
        });
        Self {
            child,
            keys,
            screen,
            end: slave,
            settings,
        }
    }

    /// What is on the screen now.
    fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn wait_shown(&self, text: &str) {
        let shown = wait_until(&format!("`{text}` on the terminal"), BOUND, || {
            self.shown().contains(text)
        });
        shown.unwrap_or_else(|error| panic!("{error:#}; there is:\n{}", self.shown()));
    }

    fn wait_gone(&self, text: &str) {
        let gone = wait_until(&format!("`{text}` gone from the terminal"), BOUND, || {
            !self.shown().contains(text)
        });
        gone.unwrap_or_else(|error| panic!("{error:#}; there is:\n{}", self.shown()));
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for the end of the child, and looks whether the terminal is as it was.
    fn wait_restored(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = wait_for("the end of tsnctl", BOUND, || child.try_wait().unwrap());
        wait_until("the first screen", BOUND, || {
            !self.screen.lock().unwrap().screen().alternate_screen()
        })
        .unwrap();
        assert!(!self.screen.lock().unwrap().screen().hide_cursor());
        assert_eq!(tcgetattr(&self.end).unwrap(), self.settings);
        status.unwrap()
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
    let mut terminal = Terminal::open(daemon.control.socket());
    terminal.wait_shown("pod1/timed");
    terminal.wait_shown("best-effort");
    terminal.press(b"\r");
    terminal.wait_shown("kernel programs: ");
    terminal.wait_gone("best-effort");
    daemon.terminate().unwrap();
    terminal.wait_shown("no answer, trying again: ");
    terminal.press(b"\x1b");
    terminal.wait_shown("best-effort");
    let daemon = bed.start(&configuration);
    terminal.wait_gone("no answer");
    terminal.wait_shown("clock ");
    assert_ne!(tcgetattr(&terminal.end).unwrap(), terminal.settings);
    terminal.press(b"q");
    assert!(terminal.wait_restored().success());
    daemon.terminate().unwrap();
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let home = scratch::directory("watch").unwrap();
    for signal in [
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGHUP,
    ] {
        let mut terminal = Terminal::open(&home.path().join("no.sock"));
        terminal.wait_shown("no tsnd listens");
        terminal.signal(signal);
        let status = terminal.wait_restored();
        assert!(status.success(), "{signal}: {status}");
    }
}

/// Answers looks with one that was written down. `asked` is told of each; an answer waits for `may_answer`.
fn answer_looks(
    listener: &UnixListener,
    asked: &mpsc::Sender<()>,
    may_answer: &mpsc::Receiver<()>,
) {
    let look = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tsn-userspace/src/bin/tsnctl/watch/golden/after.json"
    );
    let look: serde_json::Value = serde_json::from_slice(&fs::read(look).unwrap()).unwrap();
    'connections: for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if connection.read_exact(&mut byte).is_err() {
                continue 'connections; // whoever asked has given up
            }
            request.push(byte[0]);
        }
        let body = if request.starts_with(b"GET /v1/status") {
            // Both end with the test.
            if asked.send(()).is_err() || may_answer.recv().is_err() {
                return;
            }
            look["status"].to_string()
        } else {
            look["pods"].to_string()
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        // Fails if nobody waits for it any more.
        let _ = connection.write_all((head + &body).as_bytes());
    }
}

#[test]
fn a_pause_is_no_time_without_an_answer() {
    let home = scratch::directory("watch").unwrap();
    let control = home.path().join("control.sock");
    let listener = UnixListener::bind(&control).unwrap();
    let (asked, was_asked) = mpsc::channel();
    let (answer, may_answer) = mpsc::channel();
    thread::spawn(move || answer_looks(&listener, &asked, &may_answer));
    let mut terminal = Terminal::open(&control);
    was_asked.recv_timeout(BOUND).unwrap();
    answer.send(()).unwrap();
    terminal.wait_shown("camera/video");

    // It pauses with a question under way, for longer than an answer may take.
    was_asked.recv_timeout(BOUND).unwrap();
    terminal.press(b"p");
    terminal.wait_shown("PAUSED");
    thread::sleep(Duration::from_millis(3_200));
    answer.send(()).unwrap();
    terminal.press(b"p");
    was_asked.recv_timeout(BOUND).unwrap();
    let shown = terminal.shown();
    assert!(!shown.contains("no answer"), "{shown}");
    answer.send(()).unwrap();
    was_asked.recv_timeout(BOUND).unwrap();
    terminal.wait_gone("PAUSED");
    terminal.press(b"q");
    assert!(terminal.wait_restored().success());
}
