//! What `tsnctl convert` writes for others is read by them.

use std::process::Command;

use tsn_tests::clients::binary;
use tsn_tests::namespace::Namespace;

const GATES: &str = "\
uplinks:
  - device: uplink0
    traffic-classes: [{ number: 0 }, { number: 1 }, { number: 2 }]
    gate-parameters:
      admin-base-time: { seconds: 1700000000, nanoseconds: 5 }
      admin-cycle-time: 1ms
      admin-cycle-time-extension: 100us
      admin-control-list:
        - { gate-states-value: [2], time-interval-value: 300us }
        - { gate-states-value: [0, 1], time-interval-value: 700us }
";

/// What `tc` says of a command: it reads the whole of it before it asks the kernel for anything.
fn refusal_of_tc(namespace: &Namespace, command: &str) -> String {
    let output = namespace
        .command("sh")
        .args(["-c", command])
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn tc_reads_the_taprio_command_that_is_written() {
    let namespace = Namespace::new("convert").unwrap();
    namespace
        .batch(
            "ip",
            "link add uplink0 numtxqueues 8 type veth peer name wire0\n",
        )
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), GATES).unwrap();
    let output = Command::new(binary("tsnctl").unwrap())
        .args(["convert", "--strict", "--to", "taprio"])
        .arg(file.path())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let command = String::from_utf8(output.stdout).unwrap();

    // A kernel with taprio takes it, one without says so; neither happens before tc itself is content.
    let said = refusal_of_tc(&namespace, &command);
    assert!(
        said.is_empty() || said.contains("Specified qdisc kind is unknown"),
        "{said}\nof\n{command}"
    );
    // That tc would have said so of a wrong one.
    let wrong = command.replace("sched-entry S 04 300000", "sched-entry S 04 300us");
    assert_ne!(wrong, command);
    let said = refusal_of_tc(&namespace, &wrong);
    assert!(
        said.contains("sched-entry <cmd> <gate mask> <interval>"),
        "{said}"
    );
}
