//! Names that people give. Terminals, logs and metrics show them, so a name holds nothing that does more than be seen.

use tsn_port::{DeviceKind, DeviceName, DeviceNameError, is_interface_name};

use super::Faults;

/// The longest name, in characters.
const MAX_CHARACTERS: usize = 63;

/// A text of others in which each character that does more than be seen is replaced with U+FFFD: control characters,
/// line ends, marks of direction, and what Unicode does not define.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_printable(c) { c } else { '\u{fffd}' })
        .collect()
}

fn is_printable(c: char) -> bool {
    // Behind a letter, since an accent of its own is escaped if it stands alone.
    matches!(c, '"' | '\'' | '\\') || format!("a{c}").escape_debug().count() == 2
}

/// A name of a stream or a class.
pub fn check_name(place: &str, name: &str, faults: &mut Faults) {
    let characters = name.chars().count();
    if !(1..=MAX_CHARACTERS).contains(&characters) {
        faults.add(
            place,
            format!("{characters} characters; a name has 1 to {MAX_CHARACTERS}"),
        );
    } else if !name.chars().all(is_printable) {
        faults.add(
            place,
            format!(
                "`{}` holds what cannot be printed; give a name of printable characters",
                name.escape_debug()
            ),
        );
    }
}

/// The device of an uplink: an interface of the kernel, a PCI device, or a virtual device of DPDK.
pub fn check_uplink_device(place: &str, device: &str, faults: &mut Faults) {
    match device.parse::<DeviceName>() {
        Ok(name) if name.kind() == DeviceKind::Interface => check_interface(place, device, faults),
        Ok(_) => {}
        Err(error) => faults.add(place, error.to_string()),
    }
}

/// A name that the kernel takes for a network device, and that people can read.
pub fn check_interface(place: &str, name: &str, faults: &mut Faults) {
    if !(is_interface_name(name) && name.chars().all(is_printable)) {
        faults.add(place, DeviceNameError::interface(name).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Configuration, Pod, compile_pod};
    use super::*;

    const LONGEST: &str = "a2345678901234567890123456789012345678901234567890123456789012é";
    const TRICKS: [&str; 6] = [
        "",
        "\u{1b}[2J",
        "two\nlines",
        "\u{202e}backwards",
        "\u{9b}31m",
        "\u{7f}",
    ];

    /// What is said of a configuration with these names, of which one may be wrong.
    fn faults(device: &str, class: &str, stream: &str, interface: &str) -> Vec<String> {
        let configuration = serde_json::json!({
            "uplinks": [{
                "device": device,
                "traffic-classes": [{ "number": 7, "name": class }],
            }],
            "pods": [{
                "name": "pod1",
                "netns": "/run/netns/pod1",
                "interface": interface,
                "streams": [{ "name": stream, "match": {}, "traffic-class": 7 }],
            }],
        });
        let configuration: Configuration = serde_json::from_value(configuration).unwrap();
        let faults = configuration.faults();
        faults.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn assert_one(faults: &[String], place: &str) {
        let [fault] = faults else {
            panic!("{faults:?}");
        };
        assert!(fault.starts_with(&format!("{place}: ")), "{fault}");
        assert!(!fault.contains(|c| !is_printable(c)), "{fault:?}");
        assert!(fault.len() < 200, "{fault}");
    }

    #[test]
    fn names_of_any_language_are_taken() {
        for name in [
            "loop 1",
            "a's \"b\" \\c",
            "Förderband",
            "e\u{301}",
            "带",
            LONGEST,
        ] {
            assert_eq!(faults("eth0.5", name, name, "eth0"), [""; 0], "{name}");
        }
    }

    #[test]
    fn an_uplink_may_be_a_device_of_dpdk_and_a_pods_interface_not() {
        for device in [
            "0000:03:00.0",
            "net_virtio_user0,path=/run/switch.sock,server=1",
        ] {
            assert_eq!(faults(device, "class", "stream", "eth0"), [""; 0]);
            assert_one(
                &faults("eth0", "class", "stream", device),
                "pods[0].interface",
            );
        }
        for device in ["03:00.0", "net_tap0,iface", "net_tap0,iface=\u{202e}"] {
            assert_one(
                &faults(device, "class", "stream", "eth0"),
                "uplinks[0].device",
            );
        }
    }

    #[test]
    fn names_that_play_tricks_or_are_too_long_are_refused_in_words_that_do_not() {
        let too_long = format!("{LONGEST}x");
        let endless = "x".repeat(100_000);
        for name in TRICKS.into_iter().chain([&*too_long, &*endless]) {
            let class = "uplinks[0].traffic-classes[0].name";
            assert_one(&faults("eth0", name, "stream", "eth0"), class);
            let stream = "pods[0].streams[0].name";
            assert_one(&faults("eth0", "class", name, "eth0"), stream);
        }
        for name in TRICKS
            .into_iter()
            .chain([".", "..", "a/b", "a:b", "a b", &endless])
        {
            assert_one(
                &faults(name, "class", "stream", "eth0"),
                "uplinks[0].device",
            );
            assert_one(
                &faults("eth0", "class", "stream", name),
                "pods[0].interface",
            );
        }
    }

    #[test]
    fn a_reference_and_a_pod_are_refused_in_words_that_play_no_tricks() {
        for (name, class) in [("pod1", "\u{1b}[2J"), ("\u{1b}[2J", "7")] {
            let pod: Pod = serde_json::from_value(serde_json::json!({
                "name": name,
                "netns": "/run/netns/pod1",
                "streams": [{ "name": "s", "match": {}, "traffic-class": class }],
            }))
            .unwrap();
            let classes = std::array::from_fn(|class| Some(class.to_string()));
            let refused = compile_pod("pod", &pod, &classes).unwrap_err().to_string();
            assert!(refused.contains("[2J"), "{refused:?}");
            assert!(!refused.contains('\u{1b}'), "{refused:?}");
        }
    }

    #[test]
    fn a_text_of_others_cannot_play_tricks() {
        assert_eq!(printable("a b'\"\\ü e\u{301}"), "a b'\"\\ü e\u{301}");
        assert_eq!(
            printable("\u{1b}[2J\n\u{202e}x\u{ffff}"),
            "\u{fffd}[2J\u{fffd}\u{fffd}x\u{fffd}"
        );
    }
}
