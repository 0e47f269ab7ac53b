//! `tsnctl capture` against a daemon that says what each test wants: how it ends, and what it leaves.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use serde_json::json;
use tempfile::TempDir;
use tsn_tests::wait::wait_for;

const BOUND: Duration = Duration::from_secs(30);
/// So long a client that does not wait takes something.
const TAKEN: Duration = Duration::from_secs(1);

/// A running `tsnctl capture`, which dropping kills.
struct Client(Child);

impl Client {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        wait_for("the end of tsnctl", BOUND, || self.0.try_wait().unwrap()).unwrap()
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        let stderr = self.0.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Setting {
    directory: TempDir,
    /// Told by the daemon when it has done what it should.
    done: Receiver<()>,
}

impl Setting {
    /// A daemon that takes one request and does this with the connection.
    fn new(answer: impl FnOnce(&mut UnixStream) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
        let (sender, done) = channel();
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            connection.set_write_timeout(Some(TAKEN)).unwrap();
            let mut request = BufReader::new(connection.try_clone().unwrap()).lines();
            while request.next().is_some_and(|line| line.unwrap() != "") {}
            answer(&mut connection);
            let _ = sender.send(());
            // Stays open until the client has ended.
            let _ = connection.read(&mut [0]);
        });
        Self { directory, done }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("file.pcapng")
    }

    fn capture(&self, file: &str, options: &[&str], stderr: Stdio) -> Client {
        let child = Command::new(env!("CARGO_BIN_EXE_tsnctl"))
            .current_dir(&self.directory)
            .args(["--control", "control.sock", "capture", "-w", file])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn();
        Client(child.unwrap())
    }

    fn wait_done(&self) {
        self.done.recv_timeout(BOUND).unwrap();
    }

    /// How many packets the file has, and its `isb_ifdrop`: it must end with statistics.
    fn packets_and_drops(&self) -> (usize, u64) {
        let mut reader = PcapNgReader::new(File::open(self.file()).unwrap()).unwrap();
        let mut packets = 0;
        let mut drops = None;
        while let Some(block) = reader.next_block() {
            drops = None;
            match block.unwrap() {
                Block::EnhancedPacket(_) => packets += 1,
                Block::InterfaceStatistics(statistics) => {
                    drops = statistics.options.iter().find_map(|option| match option {
                        InterfaceStatisticsOption::IsbIfDrop(drops) => Some(*drops),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        (packets, drops.expect("statistics at the end"))
    }
}

fn begin(connection: &mut UnixStream) {
    connection
        .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
}

fn send(connection: &mut UnixStream, line: &serde_json::Value) -> std::io::Result<()> {
    let line = format!("{line}\n");
    connection.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())
}

fn start() -> serde_json::Value {
    json!({ "start": {
        "device": "uplink0", "version": "1.2.3", "link-speed": 1000, "tai-utc-offset-s": 37,
        "snap-length": 128, "class-names": [null, null, null, null, null, null, null, null],
    }})
}

fn frame() -> serde_json::Value {
    json!({ "frame": {
        "departure-ns": 1_800_000_037_000_000_000_u64, "launch-time-ns": null, "deadline-ns": null,
        "class": 0, "pod": null, "stream": null, "stalled": false,
        "length-bytes": 128, "bytes": "00".repeat(128),
    }})
}

fn count(frames: u64, missed: u64) -> serde_json::Value {
    json!({ "count": { "frames": frames, "missed": missed } })
}

#[test]
fn a_signal_ends_a_capture_whose_pipe_is_full() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let setting = Setting::new(|connection| {
            begin(connection);
            send(connection, &start()).unwrap();
            let frame = frame();
            let error = loop {
                if let Err(error) = send(connection, &frame) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        });
        let mut client = setting.capture("-", &[], Stdio::piped());
        setting.wait_done();
        assert_eq!(client.0.try_wait().unwrap(), None);
        client.signal(signal);
        assert_eq!(client.wait().code(), Some(1));
        let told = client.stderr();
        assert!(
            told.contains("standard output: nobody takes what is written"),
            "{told}"
        );
    }
}

#[test]
fn a_capture_needs_nobody_to_read_its_messages_and_knows_what_it_missed() {
    let setting = Setting::new(|connection| {
        begin(connection);
        for line in [start(), frame(), frame(), count(2, 7), frame(), frame()] {
            send(connection, &line).unwrap();
        }
    });
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut client = setting.capture("file.pcapng", &["--count", "3"], writer.into());
    assert_eq!(client.wait().code(), Some(0));
    assert_eq!(setting.packets_and_drops(), (3, 7));
}

#[test]
fn a_capture_that_ends_before_it_has_begun_leaves_no_file() {
    let answers: [fn(&mut UnixStream); 2] = [begin, |_| {}];
    for answer in answers {
        let setting = Setting::new(answer);
        let mut client = setting.capture("file.pcapng", &[], Stdio::piped());
        setting.wait_done();
        client.signal(Signal::SIGINT);
        assert_eq!(client.wait().code(), Some(1));
        let told = client.stderr();
        assert!(told.contains("nothing is written"), "{told}");
        assert!(!setting.file().exists());
    }
}

#[test]
fn the_daemons_reason_for_an_end_is_told_and_the_file_is_whole() {
    let setting = Setting::new(|connection| {
        begin(connection);
        let end = json!({ "end": { "reason": "enough is enough" } });
        for line in [start(), frame(), end] {
            send(connection, &line).unwrap();
        }
    });
    let mut client = setting.capture("file.pcapng", &[], Stdio::piped());
    assert_eq!(client.wait().code(), Some(1));
    let told = client.stderr();
    assert!(
        told.contains("tsnd ended the capture: enough is enough"),
        "{told}"
    );
    assert_eq!(setting.packets_and_drops(), (1, 0));
}
