//! `tsnctl watch --once`: one view of a daemon at work, and of none.

mod common;

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
};

use common::{Bed, Settings, VIDEO, traffic::Talker};
use tsn_tests::{clients::binary, daemon::Daemon};

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
