//! On a node's directories.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const FLANNEL: &str = r#"{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    { "type": "flannel", "delegate": { "isDefaultGateway": true } }
  ]
}
"#;
/// Less than the interval of the watcher's own looks, which must not be what it takes.
const BOUND: Duration = Duration::from_secs(20);

fn entry(profile: &str) -> Entry {
    Entry {
        profile: profile.to_owned(),
        ..Entry::default()
    }
}

/// A node's directories, and a plugin to be put there.
struct Node {
    directory: TempDir,
}

impl Node {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["net.d", "bin"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        fs::write(directory.path().join("plugin"), "the plugin").unwrap();
        Self { directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("net.d").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn has_entry(&self, name: &str) -> bool {
        self.read(name).contains(PLUGIN_TYPE)
    }

    /// Names of all files, hidden ones too.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path().join("net.d")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn installation(&self) -> Installation {
        let path = |name| self.directory.path().join(name);
        Installation {
            binary: path("plugin"),
            binary_directory: path("bin"),
            configuration_directory: path("net.d"),
            network: None,
            entry: Some(entry("motion")),
        }
    }

    async fn uninstall(&self) -> Vec<Change> {
        uninstall(&self.file("")).await.unwrap()
    }

    /// Watches until dropped; what it tells is kept.
    fn watch(&self) -> Watcher {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (installation, lines) = (self.installation(), Arc::clone(&told));
        let task = tokio::spawn(async move {
            let tell = |line: &str| lines.lock().unwrap().push(line.to_owned());
            match watch(&installation, tell).await {
                Ok(never) => match never {},
                Err(error) => panic!("{error}"),
            }
        });
        Watcher { told, task }
    }
}

struct Watcher {
    told: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Watcher {
    fn told(&self, words: &str) -> usize {
        let told = self.told.lock().unwrap();
        told.iter().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < BOUND, "waited in vain for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_plugin_comes_and_goes_without_a_trace() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    let file = node.file("10-flannel.conflist");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();

    let installation = node.installation();
    assert!(!installation.install().await.unwrap().unwrap().is_none());
    assert!(node.has_entry("10-flannel.conflist"));
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let binary = installation.binary_directory.join("tsn-cni");
    assert_eq!(fs::read(&binary).unwrap(), b"the plugin");
    assert_eq!(
        fs::metadata(&binary).unwrap().permissions().mode() & 0o777,
        0o755
    );

    assert!(installation.install().await.unwrap().unwrap().is_none());
    let video = Installation {
        entry: Some(entry("video")),
        ..installation
    };
    assert!(!video.install().await.unwrap().unwrap().is_none());
    assert_eq!(
        node.read("10-flannel.conflist").matches("tsn-cni").count(),
        1
    );

    assert_eq!(node.uninstall().await.len(), 1);
    assert_eq!(node.read("10-flannel.conflist"), FLANNEL);
    assert_eq!(node.names(), ["10-flannel.conflist"]);
    assert!(node.uninstall().await.is_empty());
}

#[tokio::test]
async fn what_another_add_on_adds_in_the_meantime_stays_when_the_plugin_goes() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    node.installation().install().await.unwrap();
    let text = node.read("10-flannel.conflist");
    let chained = text.replace("\n  ]\n}", ",\n    { \"type\": \"istio-cni\" }\n  ]\n}");
    node.write("10-flannel.conflist", &chained);
    node.uninstall().await;
    let expected = FLANNEL.replace("\n  ]\n}", ",\n    { \"type\": \"istio-cni\" }\n  ]\n}");
    assert_eq!(node.read("10-flannel.conflist"), expected);
}

/// One that its own add-on writes, and one that says something else, are not the watcher's to take.
#[tokio::test]
async fn only_what_was_put_there_is_taken_out() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    let installation = node.installation();
    assert_eq!(installation.take_out().await.unwrap(), None);
    installation.install().await.unwrap();
    let with_entry = node.read("10-flannel.conflist");
    node.write("20-other.conflist", &with_entry.replace("cbr0", "other"));
    assert!(installation.take_out().await.unwrap().is_some());
    assert_eq!(node.read("10-flannel.conflist"), FLANNEL);
    assert!(node.has_entry("20-other.conflist"));

    let other = with_entry.replace("motion", "camera");
    node.write("10-flannel.conflist", &other);
    assert_eq!(installation.take_out().await.unwrap(), None);
    assert_eq!(node.read("10-flannel.conflist"), other);
    fs::remove_file(node.file("10-flannel.conflist")).unwrap();
    fs::remove_file(node.file("20-other.conflist")).unwrap();
    assert_eq!(installation.take_out().await.unwrap(), None);
}

#[test]
fn a_dry_run_shows_what_would_be_changed_and_changes_nothing() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    let diff = node.installation().plan().unwrap().unwrap().diff();
    let (names, lines) = diff.split_once("@@").unwrap();
    assert!(names.contains("10-flannel.conflist"));
    assert_eq!(
        lines,
        r#" -2,6 +2,13 @@
   "name": "cbr0",
   "cniVersion": "0.3.1",
   "plugins": [
-    { "type": "flannel", "delegate": { "isDefaultGateway": true } }
+    { "type": "flannel", "delegate": { "isDefaultGateway": true } },
+    {
+      "type": "tsn-cni",
+      "profile": "motion",
+      "capabilities": {
+        "io.kubernetes.cri.pod-annotations": true
+      }
+    }
   ]
 }
"#
    );
    assert_eq!(node.read("10-flannel.conflist"), FLANNEL);
}

#[tokio::test]
async fn the_list_is_the_one_that_the_runtime_takes_for_pods() {
    let node = Node::new();
    node.write(
        "00-multus.conf",
        r#"{"name":"multus","type":"multus-shim"}"#,
    );
    node.write(
        "05-lo.conflist",
        r#"{"name":"lo","plugins":[{"type":"loopback"}]}"#,
    );
    node.write("10-first.conflist.bak", "no one reads this");
    node.write("10-flannel.conflist", FLANNEL);
    let other = FLANNEL.replace("cbr0", "other");
    node.write("20-other.conflist", &other);
    let mut installation = node.installation();
    installation.install().await.unwrap();
    assert!(node.has_entry("10-flannel.conflist"));
    assert_eq!(node.read("20-other.conflist"), other);

    installation.network = Some("other".into());
    installation.install().await.unwrap();
    assert!(node.has_entry("20-other.conflist"));

    installation.network = Some("third".into());
    let error = installation.install().await.unwrap_err().to_string();
    assert!(
        error.contains("no network `third`") && error.contains("\"cbr0\", \"other\""),
        "{error}"
    );
    // Both are found again.
    assert_eq!(node.uninstall().await.len(), 2);
}

#[tokio::test]
async fn what_cannot_hold_the_entry_is_named_and_left_alone() {
    for (name, text, reason) in [
        (
            "10-weave.conf",
            r#"{"name":"weave","type":"weave-net"}"#,
            "10-weave.conf configures one plugin (network `weave`)",
        ),
        (
            "10-bad.conf",
            "type: bridge",
            "10-bad.conf is no configuration of a CNI plugin",
        ),
        (
            "10-half.conflist",
            &FLANNEL[..60],
            "10-half.conflist is no list of CNI plugins: EOF",
        ),
        (
            "10-none.txt",
            FLANNEL,
            "no configuration of a pod network yet",
        ),
    ] {
        let node = Node::new();
        node.write(name, text);
        let error = node.installation().install().await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(node.read(name), text);
        assert_eq!(node.names(), [name]);
    }
}

#[tokio::test]
async fn a_link_stays_a_link_and_one_that_leads_nowhere_is_named() {
    let node = Node::new();
    let real = node.directory.path().join("flannel.json");
    fs::write(&real, FLANNEL).unwrap();
    let link = node.file("10-flannel.conflist");
    symlink(&real, &link).unwrap();
    node.installation().install().await.unwrap();
    assert!(link.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("tsn-cni"));
    node.uninstall().await;
    assert_eq!(fs::read_to_string(&real).unwrap(), FLANNEL);

    fs::remove_file(&real).unwrap();
    let error = node.installation().install().await.unwrap_err().to_string();
    assert!(
        error.contains("10-flannel.conflist cannot be read"),
        "{error}"
    );
}

#[test]
fn a_file_that_was_changed_since_it_was_read_is_not_overwritten() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    let change = node.installation().plan().unwrap().unwrap();
    let newer = FLANNEL.replace("cbr0", "newer");
    node.write("10-flannel.conflist", &newer);
    assert_eq!(change.apply().unwrap(), Replacement::Overtaken);
    assert_eq!(node.read("10-flannel.conflist"), newer);
    assert_eq!(node.names(), ["10-flannel.conflist"]);
}

/// Nor what another process is just writing; only what a killed one left goes.
#[tokio::test]
async fn what_a_killed_run_left_is_swept_and_what_another_writes_is_not() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    let (left, writing) = (
        ".10-flannel.conflist.a.tsnctl",
        ".10-flannel.conflist.b.tsnctl",
    );
    node.write(left, "half");
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    let file = fs::File::options()
        .write(true)
        .open(node.file(left))
        .unwrap();
    file.set_modified(hour_ago).unwrap();
    node.write(writing, "half");
    node.installation().install().await.unwrap();
    assert!(node.has_entry("10-flannel.conflist"));
    assert_eq!(node.names(), [writing, "10-flannel.conflist"]);
}

/// Two that write the same file do not take each other's for their own.
#[test]
fn two_writers_at_once_leave_a_whole_file() {
    let node = Node::new();
    let program = node.directory.path().join("bin/tsn-cni");
    let contents = ["a", "b"].map(|letter| letter.repeat(1 << 16));
    std::thread::scope(|scope| {
        for contents in &contents {
            scope.spawn(|| {
                for _ in 0..200 {
                    replace::put_program(&program, contents.as_bytes()).unwrap();
                }
            });
        }
    });
    let left = fs::read_to_string(&program).unwrap();
    assert!(contents.contains(&left));
}

/// Whatever the writer leaves last, entry and its own text are in the end in one file; none is ever half of one.
#[tokio::test]
async fn a_list_that_is_rewritten_all_the_time_is_whole_at_any_moment() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    let (file, new) = (node.file("10-flannel.conflist"), node.file("writer"));
    let writer = std::thread::spawn(move || {
        for number in 0..200 {
            fs::write(&new, FLANNEL.replace("cbr0", &format!("cbr{number}"))).unwrap();
            fs::rename(&new, &file).unwrap();
        }
    });
    while !writer.is_finished() {
        let _ = node.installation().install().await;
        PluginList::parse(&node.read("10-flannel.conflist")).unwrap();
    }
    writer.join().unwrap();
    node.installation().install().await.unwrap();
    let text = node.read("10-flannel.conflist");
    assert!(
        text.contains("cbr199") && text.contains("tsn-cni"),
        "{text}"
    );
    assert_eq!(node.names(), ["10-flannel.conflist"]);
}

/// Root may write everywhere, so the directory is one in which nobody may: the kernel's own.
#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    let installation = Installation {
        binary_directory: "/proc/self".into(),
        ..node.installation()
    };
    let error = installation.install().await.unwrap_err().to_string();
    assert!(
        error.contains("/proc/self/tsn-cni cannot be written"),
        "{error}"
    );
    assert_eq!(node.read("10-flannel.conflist"), FLANNEL);
}

#[tokio::test]
async fn it_waits_for_the_network_and_repairs_what_its_owner_rewrites() {
    let node = Node::new();
    let watcher = node.watch();
    until("a word about waiting", || {
        watcher.told("no configuration of a pod network yet") == 1
    })
    .await;
    // In two steps, as `cp` does it.
    let file = node.file("10-flannel.conflist");
    fs::write(&file, &FLANNEL[..40]).unwrap();
    sleep(Duration::from_millis(20)).await;
    fs::write(&file, FLANNEL).unwrap();
    until("the entry", || node.has_entry("10-flannel.conflist")).await;
    // By rename, and in place.
    let new = node.file("new");
    fs::write(&new, FLANNEL).unwrap();
    fs::rename(&new, &file).unwrap();
    until("the first repair", || node.has_entry("10-flannel.conflist")).await;
    fs::write(&file, FLANNEL.replace("cbr0", "cbr1")).unwrap();
    until("the second repair", || {
        node.has_entry("10-flannel.conflist")
    })
    .await;
    assert!(node.read("10-flannel.conflist").contains("cbr1"));
    // Another one that comes before it.
    node.write("05-calico.conflist", FLANNEL);
    until("the entry in the other", || {
        node.has_entry("05-calico.conflist")
    })
    .await;
    // The binary alone.
    let binary = node.directory.path().join("bin/tsn-cni");
    fs::remove_file(&binary).unwrap();
    until("the binary again", || binary.exists()).await;
    // The directory itself.
    let directory = node.file("");
    fs::remove_dir_all(&directory).unwrap();
    until("a word about the directory", || {
        watcher.told("net.d cannot be read") == 1
    })
    .await;
    fs::create_dir(&directory).unwrap();
    node.write("10-flannel.conflist", FLANNEL);
    until("the entry in the new one", || {
        node.has_entry("10-flannel.conflist")
    })
    .await;
}

#[tokio::test]
async fn a_fight_is_given_up_for_a_while_and_told() {
    let node = Node::new();
    node.write("10-flannel.conflist", FLANNEL);
    let watcher = node.watch();
    let start = Instant::now();
    while watcher.told("again and again") == 0 {
        assert!(start.elapsed() < BOUND, "no end of the fight");
        if node.has_entry("10-flannel.conflist") {
            node.write("10-flannel.conflist", FLANNEL);
        }
        sleep(Duration::from_millis(1)).await;
    }
    // It is in vain: the file stays as the other one wrote it, but not for ever.
    let rewritten = FLANNEL.replace("cbr0", "cbr1");
    node.write("10-flannel.conflist", &rewritten);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(node.read("10-flannel.conflist"), rewritten);
    until("the next attempt", || node.has_entry("10-flannel.conflist")).await;
}
