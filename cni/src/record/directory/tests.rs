use std::os::unix::net::UnixListener;

use serde_json::json;
use tempfile::TempDir;

use super::super::{KubernetesPod, Request, VhostUser};
use super::*;

fn record(network: &str, container_id: &str, interface: &str) -> Record {
    Record {
        network: network.to_owned(),
        container_id: container_id.to_owned(),
        interface: interface.to_owned(),
        netns: "/var/run/netns/pod".into(),
        netns_inode: 4_026_532_999,
        mac: Some("02:00:00:00:00:01".to_owned()),
        ips: vec!["10.1.2.3".parse().unwrap(), "fd00::3".parse().unwrap()],
        pod: Some(KubernetesPod {
            namespace: "plant".to_owned(),
            name: "drive".to_owned(),
            uid: String::new(),
        }),
        request: Request {
            profile: "motion".to_owned(),
            traffic_class: Some("7".to_owned()),
            selector: [("udp-destination-port".to_owned(), json!(4840))]
                .into_iter()
                .collect(),
        },
        vhost_user: Some(VhostUser {
            socket: "/run/vhost/drive".into(),
            peer_listens: true,
            address: "02:00:00:00:00:01".to_owned(),
        }),
    }
}

/// A directory that does not exist yet, inside one that is removed at the end.
fn directory() -> (TempDir, Directory) {
    let scratch = tempfile::tempdir().unwrap();
    let directory = Directory::at(scratch.path().join("run/tsnd/cni"));
    (scratch, directory)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn names(directory: &Directory) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_record_is_there_from_store_to_remove() {
    let (_scratch, directory) = directory();
    let mut record = record("cbr0", "abc", "eth0");
    let key = record.key();
    assert_eq!(directory.load(&key).unwrap(), None);
    assert!(directory.list().unwrap().is_empty());
    assert!(!directory.remove(&key).unwrap());

    directory.store(&record).unwrap();
    assert_eq!(directory.load(&key).unwrap().as_ref(), Some(&record));
    assert_eq!(names(&directory), ["cbr0:abc:eth0.json"]);

    record.request.profile = "video".to_owned();
    record.vhost_user = None;
    directory.store(&record).unwrap();
    assert_eq!(directory.load(&key).unwrap(), Some(record));

    assert!(directory.remove(&key).unwrap());
    assert!(!directory.remove(&key).unwrap());
    assert!(names(&directory).is_empty());
}

#[test]
fn records_are_for_their_owner_alone() {
    let (scratch, directory) = directory();
    let record = record("cbr0", "abc", "eth0");
    directory.store(&record).unwrap();
    assert_eq!(mode(directory.path()), 0o700);
    assert_eq!(mode(&directory.path().join("cbr0:abc:eth0.json")), 0o600);
    assert_eq!(
        mode(&scratch.path().join("run")) & 0o005,
        0o005,
        "others reach the control socket"
    );

    // Made by someone who lets others read: closed with the next record.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(directory.list().unwrap().len(), 1);
    directory.store(&record).unwrap();
    assert_eq!(mode(directory.path()), 0o700);
}

#[test]
fn a_directory_that_others_write_is_refused() {
    let (scratch, directory) = directory();
    let record = record("cbr0", "abc", "eth0");
    directory.store(&record).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o770)).unwrap();
    let error = directory.list().unwrap_err().to_string();
    assert!(
        error.contains("770") && error.contains("chmod 700"),
        "{error}"
    );
    assert!(matches!(
        directory.load(&record.key()),
        Err(Error::NotPrivate { .. })
    ));
    assert!(matches!(
        directory.store(&record),
        Err(Error::NotPrivate { .. })
    ));

    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    let link = scratch.path().join("link");
    std::os::unix::fs::symlink(directory.path(), &link).unwrap();
    assert!(matches!(
        Directory::at(link).list(),
        Err(Error::NotPrivate { .. })
    ));
}

#[test]
fn list_is_sorted_and_find_looks_in_all_networks() {
    let (_scratch, directory) = directory();
    for (network, container, interface) in [
        ("b", "one", "net1"),
        ("a", "one", "net1"),
        ("a", "one", "eth0"),
        ("a", "two", "net1"),
    ] {
        directory
            .store(&record(network, container, interface))
            .unwrap();
    }
    let listed: Vec<_> = directory
        .list()
        .unwrap()
        .into_iter()
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(
        listed,
        ["a:one:eth0", "a:one:net1", "a:two:net1", "b:one:net1"]
    );
    let found: Vec<_> = directory
        .find("one", "net1")
        .unwrap()
        .iter()
        .map(Key::to_string)
        .collect();
    assert_eq!(found, ["a:one:net1", "b:one:net1"]);
}

#[test]
fn what_cannot_be_read_is_an_error_in_its_own_place_and_can_be_removed() {
    let (_scratch, directory) = directory();
    let good = record("n", "good", "eth0");
    directory.store(&good).unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(directory.path().join(name), bytes).unwrap();
    let whole = serde_json::to_vec(&good).unwrap();
    put("n:a-empty:eth0.json", b"");
    put("n:b-cut:eth0.json", &whole[..whole.len() / 2]);
    put("n:c-moved:eth0.json", &whole);
    put("n:d-large:eth0.json", &vec![b' '; MAX_BYTES as usize + 1]);
    put("n:e-deep:eth0.json", "[".repeat(100_000).as_bytes());
    put("n:f-binary:eth0.json", &[0xff; 64]);
    put(
        "n:g-future:eth0.json",
        br#"{"network": "n", "tomorrow": 1}"#,
    );
    let socket = UnixListener::bind(directory.path().join("n:h-socket:eth0.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", directory.path().join("n:i-link:eth0.json")).unwrap();
    // Not records at all.
    put("README", b"?");
    put("n:eth0.json", b"?");
    put(".1-2.new", &whole);

    let listed = directory.list().unwrap();
    assert_eq!(listed.len(), 10);
    for (key, result) in &listed {
        let path = directory.path().join(key.file_name().unwrap());
        match (key.container_id.as_str(), result) {
            ("good", Ok(record)) => assert_eq!(*record, good),
            ("c-moved", Err(Error::Misplaced { found, .. })) => assert_eq!(*found, good.key()),
            ("d-large", Err(Error::TooLarge(at))) => assert_eq!(*at, path),
            ("h-socket" | "i-link", Err(Error::NotAFile(at))) => assert_eq!(*at, path),
            ("g-future", Err(error)) => assert!(error.to_string().contains("tomorrow"), "{error}"),
            (
                "a-empty" | "b-cut" | "e-deep" | "f-binary",
                Err(Error::Malformed { path: at, .. }),
            ) => {
                assert_eq!(*at, path);
            }
            (container, result) => panic!("{container}: {result:?}"),
        }
        assert!(directory.remove(key).unwrap());
    }
    drop(socket);
    assert_eq!(names(&directory), [".1-2.new", "README", "n:eth0.json"]);
}

#[test]
fn what_a_killed_plugin_left_half_written_is_removed_later() {
    let (_scratch, directory) = directory();
    let record = record("n", "c", "eth0");
    directory.store(&record).unwrap();
    let (old, new) = (
        directory.path().join(".17-1.new"),
        directory.path().join(".18-2.new"),
    );
    fs::write(&new, "{").unwrap();
    let file = File::create(&old).unwrap();
    let others = directory.path().join(".others.new");
    fs::write(&others, "").unwrap();
    for file in [file, File::open(&others).unwrap()] {
        file.set_modified(SystemTime::now() - 2 * ABANDONED_AFTER)
            .unwrap();
    }

    assert_eq!(directory.list().unwrap().len(), 1);
    directory.remove(&record.key()).unwrap();
    assert_eq!(
        names(&directory),
        [".18-2.new", ".others.new"],
        "another plugin may still be writing that one"
    );
}

#[test]
fn no_key_leaves_the_directory() {
    let (scratch, directory) = directory();
    fs::write(scratch.path().join("victim.json"), "{}").unwrap();
    let key = Key {
        network: "../../../victim".to_owned(),
        container_id: "c".to_owned(),
        interface: "eth0".to_owned(),
    };
    assert!(matches!(
        directory.load(&key),
        Err(Error::Key(InvalidKey::Network(_)))
    ));
    assert!(matches!(
        directory.remove(&key),
        Err(Error::Key(InvalidKey::Network(_)))
    ));
    assert!(matches!(
        directory.store(&record("n", "c/../x", "eth0")),
        Err(Error::Key(_))
    ));
}

#[test]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let (_scratch, directory) = directory();
    let mut record = record("n", "c", "eth0");
    directory.store(&record).unwrap();
    let stored = record.clone();
    record.request.profile = "x".repeat(MAX_BYTES as usize);
    assert!(matches!(directory.store(&record), Err(Error::TooLarge(_))));
    assert_eq!(directory.load(&record.key()).unwrap(), Some(stored));
}

#[test]
fn a_reader_never_sees_half_a_record() {
    let (_scratch, directory) = directory();
    let record = record("n", "c", "eth0");
    directory.store(&record).unwrap();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (directory, record) = (directory.clone(), record.clone());
            std::thread::spawn(move || (0..200).for_each(|_| directory.store(&record).unwrap()))
        })
        .collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        assert_eq!(
            directory.load(&record.key()).unwrap().as_ref(),
            Some(&record)
        );
    }
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(names(&directory), ["n:c:eth0.json"]);
}
