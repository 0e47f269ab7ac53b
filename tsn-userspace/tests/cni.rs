//! `tsnctl cni` as it is run on a node.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const LIST: &str = r#"{"name":"cbr0","cniVersion":"1.0.0","plugins":[{"type":"flannel"}]}"#;
const BOUND: Duration = Duration::from_secs(30);

struct Node {
    directory: TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(node.path("net.d")).unwrap();
        fs::create_dir(node.path("bin")).unwrap();
        fs::write(node.path("plugin"), "the plugin").unwrap();
        node
    }

    fn with_flannel() -> Self {
        let node = Self::new();
        node.write_list();
        node
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write_list(&self) {
        fs::write(self.path("net.d/10-flannel.conflist"), LIST).unwrap();
    }

    fn list(&self) -> String {
        fs::read_to_string(self.path("net.d/10-flannel.conflist")).unwrap()
    }

    fn has_plugin(&self) -> bool {
        self.path("bin/tsn-cni").exists()
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tsnctl"));
        command.args(["cni", subcommand]);
        command.args(["--configuration-directory", "net.d"]);
        command.args(["--binary-directory", "bin"]);
        command.current_dir(self.directory.path());
        command
    }

    fn install(&self, options: &[&str]) -> Output {
        let mut command = self.command("install");
        command.args(["--binary", "plugin", "--profile", "motion"]);
        command.args(options).output().unwrap()
    }

    fn uninstall(&self, options: &[&str]) -> Output {
        let mut command = self.command("uninstall");
        command.args(["--record-directory", "records"]);
        command.args(options).output().unwrap()
    }
}

#[track_caller]
fn says(output: &Output, status: i32, words: &str) {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains(words), "{said}");
    assert_eq!(output.status.code(), Some(status), "{said}");
}

#[test]
fn the_plugin_comes_and_goes() {
    let node = Node::with_flannel();
    says(&node.install(&["--dry-run"]), 0, "+{\"name\":\"cbr0\"");
    assert!(node.list() == LIST && !node.has_plugin());

    let entry = ["--selectable-profile", "video", "--deadline-ms", "500"];
    let done = "tsn-cni: added to net.d/10-flannel.conflist\n";
    says(&node.install(&entry), 0, done);
    assert!(node.list().contains(
        r#"{"type":"tsn-cni","profile":"motion","selectableProfiles":["video"],"deadlineMs":500,"capabilities""#
    ));
    says(&node.install(&entry), 0, "tsn-cni: is already in");

    says(&node.uninstall(&["--dry-run"]), 0, "-{\"name\":\"cbr0\"");
    assert!(node.list() != LIST && node.has_plugin());
    says(
        &node.uninstall(&[]),
        0,
        "tsn-cni: taken out of net.d/10-flannel.conflist\n",
    );
    assert!(node.list() == LIST && !node.has_plugin());
    says(&node.uninstall(&[]), 0, "");
}

#[test]
fn what_is_wrong_is_told_and_changes_nothing() {
    let node = Node::new();
    says(
        &node.install(&[]),
        1,
        "net.d has no configuration of a pod network yet",
    );
    node.write_list();
    says(
        &node.install(&["--deadline-ms", "50"]),
        2,
        "50 is not in 100..=60000",
    );
    says(
        &node.install(&["--network", "other"]),
        1,
        "no network `other`; there are [\"cbr0\"]",
    );
    let mut without = node.command("install");
    without.args(["--profile", "motion", "--binary", "none"]);
    says(&without.output().unwrap(), 1, "none cannot be read");
    assert_eq!(node.list(), LIST);
}

#[test]
fn the_binary_alone_can_be_put_there() {
    let node = Node::with_flannel();
    let mut command = node.command("install");
    command.args(["--binary", "plugin", "--binary-only"]);
    says(&command.output().unwrap(), 0, "tsn-cni: in its place\n");
    assert!(node.list() == LIST && node.has_plugin());
    let both = node.install(&["--binary-only"]);
    says(&both, 2, "'--binary-only' cannot be used with");
    let neither = node.command("install").output().unwrap();
    says(&neither, 2, "--binary-only");
}

#[test]
fn the_binary_stays_while_pods_need_it_for_their_end() {
    let node = Node::with_flannel();
    says(&node.install(&[]), 0, "");
    let records = node.path("records");
    fs::create_dir(&records).unwrap();
    fs::set_permissions(&records, fs::Permissions::from_mode(0o700)).unwrap();
    let record = |netns_inode: u64| {
        format!(
            r#"{{"network":"cbr0","container-id":"0123456789ab","interface":"eth0","netns":"/proc/self/ns/net",
                "netns-inode":{netns_inode},"request":{{"profile":"motion"}}}}"#
        )
    };
    let file = records.join("cbr0:0123456789ab:eth0.json");
    let inode = fs::metadata("/proc/self/ns/net").unwrap().ino();
    fs::write(&file, record(inode)).unwrap();
    says(
        &node.uninstall(&[]),
        1,
        "need it for their end (1 interfaces in records)",
    );
    assert!(node.list() == LIST && node.has_plugin());
    says(&node.uninstall(&["--force"]), 0, "");
    assert!(!node.has_plugin());

    // Of a pod that has ended since nobody took the record away.
    says(&node.install(&[]), 0, "");
    fs::write(&file, record(inode + 1)).unwrap();
    says(&node.uninstall(&[]), 0, "");
    assert!(!node.has_plugin());
}

fn watch(node: &Node, options: &[&str]) -> Child {
    let mut command = node.command("install");
    command.args(["--binary", "plugin", "--profile", "motion", "--watch"]);
    command.args(options).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < BOUND, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn ends_at_sigterm(mut watcher: Child) {
    kill(Pid::from_raw(watcher.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(watcher.wait().unwrap().success());
}

#[test]
fn a_watcher_repairs_and_leaves_the_entry_unless_told_otherwise() {
    let node = Node::new();
    let watcher = watch(&node, &[]);
    until("the binary", || node.has_plugin());
    node.write_list();
    until("the entry", || node.list().contains("tsn-cni"));
    fs::remove_file(node.path("bin/tsn-cni")).unwrap();
    node.write_list();
    until("the entry again", || node.list().contains("tsn-cni"));
    assert!(node.has_plugin(), "an entry whose binary is gone");
    ends_at_sigterm(watcher);
    assert!(node.list().contains("tsn-cni") && node.has_plugin());

    let watcher = watch(&node, &["--uninstall-on-exit"]);
    node.write_list();
    until("the entry of the second", || {
        node.list().contains("tsn-cni")
    });
    ends_at_sigterm(watcher);
    assert!(node.list() == LIST && node.has_plugin());
}
