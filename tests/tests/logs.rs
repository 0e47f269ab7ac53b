//! The log as JSON: every line is a record, the kernel programs' lines are among them, and no pod and no client can
//! fill the disk with it.

mod common;

use common::{
    BOUND, Bed, Settings,
    counters::{Counters, number},
};
use serde_json::Value;
use tsn_tests::{clients::python, topology::POD_INTERFACE, wait::wait_until};

/// Sends so many frames that imitate a stamp, with a guessed secret.
const FORGER: &str = r#"
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
to = bytes([2, 0, 0, 0, 2, 1])
frame = to + bytes([2, 7]) + struct.pack("=QQ", 1, 0x7473000000000000) + to + bytes(6) + bytes([0x88, 0xb6]) + bytes(46)
for _ in range(int(sys.argv[2])):
    s.send(frame)
"#;

fn records(log: &str) -> Vec<Value> {
    let record = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    log.lines().map(record).collect()
}

#[test]
fn floods_are_logged_as_a_few_records() {
    const FLOOD: usize = 10_000;
    let bed = Bed::new(1);
    let daemon = bed.start_with(
        &bed.configuration(&Settings::default()),
        &["--log-format", "json"],
    );
    let arguments = [POD_INTERFACE.to_owned(), FLOOD.to_string()];
    let forger = python(&bed.near(1).namespace, FORGER, &arguments).unwrap();
    forger.finish(BOUND).unwrap();
    let forged = |counters: &Counters| number(&counters.pod("pod1")["kernel"]["forged_stamp"]);
    wait_until("the kernel program to drop them", BOUND, || {
        forged(&Counters::of(&daemon)) == FLOOD as u64
    })
    .unwrap();
    for _ in 0..300 {
        let response = daemon.control.request("DELETE", "/v1/pods/nobody", "");
        assert_eq!(response.unwrap().status, 404);
    }

    let of_kernel = |record: &Value| {
        let message = record["fields"]["message"].as_str().unwrap_or_default();
        message.contains("forged stamp")
    };
    wait_until("the kernel program's line", BOUND, || {
        records(&daemon.process.stderr()).iter().any(of_kernel)
    })
    .unwrap();
    let records = records(&daemon.process.stderr());
    for record in &records {
        for key in ["timestamp", "level", "target", "fields"] {
            assert!(!record[key].is_null(), "no {key}: {record}");
        }
    }
    let line = records.iter().find(|record| of_kernel(record)).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["target"], "tsn_ebpf::redirect", "{line}");
    let attached = records
        .iter()
        .find(|record| record["fields"]["message"] == "attached");
    assert_eq!(attached.unwrap()["fields"]["pod"], "pod1");
    let refused = records
        .iter()
        .filter(|record| record["fields"]["status"] == 404);
    assert!((1..=20).contains(&refused.count()));
    assert!(records.len() < 60, "{} lines", records.len());

    let process_log = || daemon.process.stderr();
    wait_until("to be told what was left out", BOUND, || {
        process_log()
            .lines()
            .any(|line| line.contains("\"suppressed\":"))
    })
    .unwrap();
    daemon.terminate().unwrap();
}
