//! What stands behind an interface: a veth pair, or a vhost-user socket, which a device plugin describes in a file (device
//! information specification of the network plumbing working group, 1.1.0).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::configuration::DeviceHints;
use crate::error::{Code, Error};
use crate::previous_result::PreviousResult;
use crate::record::VhostUser;

/// The largest description that is read.
const MAX_BYTES: u64 = 64 << 10;
/// The way out of all errors about a device.
const SERVED: &str = "tsnd serves the pod's end of a veth pair, and vhost-user sockets";

#[derive(Deserialize)]
struct Information {
    #[serde(rename = "type")]
    kind: String,
    version: String,
    #[serde(rename = "vhost-user")]
    vhost_user: Option<Socket>,
}

#[derive(Deserialize)]
struct Socket {
    mode: Mode,
    path: PathBuf,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// The host makes the socket, and the container connects.
    Client,
    /// The container makes it.
    Server,
}

/// The vhost-user socket behind the interface; `None` if that is to be the end of a veth pair, which the daemon finds out.
///
/// # Errors
///
/// When the device is of another kind, or its description cannot be read.
pub(crate) fn behind(
    interface: &str,
    hints: &DeviceHints,
    previous: &PreviousResult,
) -> Result<Option<VhostUser>, Error> {
    let made = previous.interface(interface)?.unwrap_or_default();
    if let Some((path, information)) = describe(hints.information.as_deref())? {
        let id = hints.id.as_deref().unwrap_or("without deviceID");
        return match (information.kind.as_str(), information.vhost_user) {
            ("vhost-user", Some(socket)) => vhost_user(interface, socket, made.mac, path).map(Some),
            ("vhost-user", None) => Err(invalid(format!(
                "{} (CNIDeviceInfoFile) is of type `vhost-user` and lacks `vhost-user`",
                path.display()
            ))),
            (kind, _) => Err(invalid(format!(
                "{interface} is the device {id}, of type `{kind}` in {} (CNIDeviceInfoFile); {SERVED}",
                path.display()
            ))),
        };
    }
    let id = hints.id.as_deref().unwrap_or_default();
    for (source, id) in [("deviceID", id), ("pciID of prevResult", &made.pci_id)] {
        if is_pci_address(id) {
            return Err(invalid(format!(
                "{interface} is the PCI device {id} ({source}); {SERVED}"
            )));
        }
    }
    Ok(None)
}

/// The description; `None` if the runtime names no file or the file is not there, which the specification allows.
fn describe(path: Option<&Path>) -> Result<Option<(&Path, Information)>, Error> {
    let Some(path) = path else {
        return Ok(None);
    };
    let json = match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let message = format!(
                "cannot read {} (CNIDeviceInfoFile): {error}",
                path.display()
            );
            return Err(Error::new(Code::Io, message));
        }
        Ok(json) => json,
    };
    let wrong = |reason: String| {
        let path = path.display();
        invalid(format!(
            "{path} (CNIDeviceInfoFile) describes no device: {reason}"
        ))
    };
    let information: Information =
        serde_json::from_slice(&json).map_err(|error| wrong(error.to_string()))?;
    match information.version.split('.').next() {
        Some("1") => Ok(Some((path, information))),
        _ => Err(wrong(format!(
            "its version is `{}`, must be 1.x",
            information.version
        ))),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe in the file's place would be waited for without end.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    let mut json = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut json)?;
    match json.len() as u64 {
        0..=MAX_BYTES => Ok(json),
        _ => Err(io::Error::other(format!(
            "it is larger than {MAX_BYTES} bytes"
        ))),
    }
}

fn vhost_user(
    interface: &str,
    socket: Socket,
    mac: String,
    path: &Path,
) -> Result<VhostUser, Error> {
    if !socket.path.is_absolute() {
        return Err(invalid(format!(
            "{} (CNIDeviceInfoFile) has the vhost-user path `{}`, must be an absolute path",
            path.display(),
            socket.path.display()
        )));
    }
    if mac.is_empty() {
        return Err(invalid(format!(
            "{interface} is a vhost-user socket, and `prevResult` has no `mac` for it; the plugin before this one must tell"
        )));
    }
    Ok(VhostUser {
        socket: socket.path,
        peer_listens: socket.mode == Mode::Server,
        address: mac,
    })
}

/// Domain, bus, device and function, as in `0000:18:02.5`.
fn is_pci_address(id: &str) -> bool {
    let parts: Vec<_> = id.split([':', '.']).collect();
    let is_hexadecimal =
        |part: &&str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_hexdigit());
    id.contains('.') && parts.len() == 4 && parts.iter().all(is_hexadecimal)
}

fn invalid(message: String) -> Error {
    Error::new(Code::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn result(json: &str) -> PreviousResult {
        PreviousResult::new(RawValue::from_string(json.to_owned()).unwrap())
    }

    fn behind_net1(
        id: Option<&str>,
        information: Option<&str>,
    ) -> Result<Option<VhostUser>, Error> {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("net1-device.json");
        if let Some(json) = information {
            std::fs::write(&path, json).unwrap();
        }
        let hints = DeviceHints {
            id: id.map(str::to_owned),
            information: Some(path),
        };
        let made = r#"{"interfaces":[{"name":"net1","sandbox":"/n","mac":"02:00:00:00:00:01"}]}"#;
        behind("net1", &hints, &result(made))
    }

    #[test]
    fn a_vhost_user_socket_is_taken_with_the_address_of_the_result() {
        for (mode, peer_listens) in [("client", false), ("server", true)] {
            let json = format!(
                r#"{{"type":"vhost-user","version":"1.1.0","vhost-user":{{"mode":"{mode}","path":"/run/v.sock"}},"x":1}}"#
            );
            let expected = VhostUser {
                socket: "/run/v.sock".into(),
                peer_listens,
                address: "02:00:00:00:00:01".to_owned(),
            };
            assert_eq!(
                behind_net1(Some("v0"), Some(&json)).unwrap(),
                Some(expected)
            );
        }
    }

    #[test]
    fn a_vhost_user_socket_needs_an_address() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("d.json");
        let json = r#"{"type":"vhost-user","version":"1.0.0","vhost-user":{"mode":"client","path":"/run/v.sock"}}"#;
        std::fs::write(&path, json).unwrap();
        let hints = DeviceHints {
            id: None,
            information: Some(path),
        };
        for made in ["{}", r#"{"interfaces":[{"name":"net1","sandbox":"/n"}]}"#] {
            let error = behind("net1", &hints, &result(made))
                .unwrap_err()
                .to_string();
            assert!(error.contains("net1") && error.contains("`mac`"), "{error}");
        }
    }

    #[test]
    fn devices_of_other_kinds_are_named() {
        let pci = r#"{"type":"pci","version":"1.1.0","pci":{"pci-address":"0000:18:02.5"}}"#;
        let error = behind_net1(Some("0000:18:02.5"), Some(pci))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("0000:18:02.5, of type `pci`") && error.contains(SERVED),
            "{error}"
        );
        let error = behind_net1(Some("0000:18:02.5"), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("0000:18:02.5 (deviceID)"), "{error}");
        let made = r#"{"interfaces":[{"name":"net1","sandbox":"/n","pciID":"0000:18:02.5"}]}"#;
        let error = behind("net1", &DeviceHints::default(), &result(made)).unwrap_err();
        assert!(error.to_string().contains("pciID of prevResult"), "{error}");
    }

    #[test]
    fn what_is_not_described_is_left_to_the_daemon() {
        for id in [None, Some("slot-3"), Some("1:2:3:4"), Some("::."), Some("")] {
            assert_eq!(behind_net1(id, None).unwrap(), None);
        }
        assert_eq!(
            behind("eth0", &DeviceHints::default(), &result("{}")).unwrap(),
            None
        );
    }

    #[test]
    fn a_description_that_is_none_is_an_error() {
        let huge = format!(r#"{{"type":"{}"}}"#, "x".repeat(MAX_BYTES as usize));
        for (json, part) in [
            ("", "describes no device"),
            (
                r#"{"type":"vhost-user","version":"2.0.0"}"#,
                "`2.0.0`, must be 1.x",
            ),
            (
                r#"{"type":"vhost-user","version":"1.1.0"}"#,
                "of type `vhost-user`",
            ),
            (
                r#"{"type":"vhost-user","version":"1.1.0","vhost-user":{"mode":"both","path":"/v"}}"#,
                "unknown variant `both`",
            ),
            (
                r#"{"type":"vhost-user","version":"1.1.0","vhost-user":{"mode":"client","path":"v"}}"#,
                "`v`, must be an absolute path",
            ),
            (huge.as_str(), "larger than 65536 bytes"),
        ] {
            let error = behind_net1(Some("v0"), Some(json)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let hints = DeviceHints {
            id: None,
            information: Some("/dev/zero".into()),
        };
        let error = behind("net1", &hints, &result("{}")).unwrap_err();
        assert_eq!(error.code, Code::Io);
    }
}
