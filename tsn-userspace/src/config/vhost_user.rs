//! A pod or virtual machine at the other end of a vhost-user socket.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tsn_port::{MacAddress, VhostUserEnd};

use super::{Faults, printable};

/// Bytes of a path that the kernel takes for a unix socket (`sun_path` of unix(7), without the 0 at its end).
const MAX_SOCKET_PATH_BYTES: usize = 107;
/// Random bits of a stamp's secret.
const SECRET_BITS: u32 = 48;

/// A vhost-user socket, at whose other end a virtual machine or a DPDK program has a virtio device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VhostUser {
    /// Path of the socket, such as `/run/tsnd/vm1.sock`.
    pub socket: PathBuf,
    /// Whether the other end makes the socket and listens, and tsnd connects. By default tsnd makes it and listens.
    #[serde(default)]
    pub peer_listens: bool,
    /// The address of the virtio device, such as `02:00:00:00:00:01`; not of a group. Frames for it that arrive at the
    /// uplink, or come from other pods, are delivered to this pod.
    #[serde(serialize_with = "write_address", deserialize_with = "read_address")]
    #[schemars(
        with = "String",
        regex(pattern = r"^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$")
    )]
    pub address: MacAddress,
    /// A secret of 48 bits that the sender puts into the stamp in front of each frame with a launch time or a priority.
    /// Without it, a frame that has a stamp is dropped as a forgery. Who may use the control socket can read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 281_474_976_710_655_u64))]
    pub stamp_secret: Option<u64>,
}

impl VhostUser {
    /// For the backend.
    pub(super) fn end(&self) -> VhostUserEnd {
        VhostUserEnd {
            socket: self.socket.clone(),
            peer_listens: self.peer_listens,
            address: self.address,
            stamp_secret: self.stamp_secret,
        }
    }

    pub(super) fn find_faults(&self, place: &str, faults: &mut Faults) {
        let mut wrong =
            |field: &str, reason: String| faults.add(format!("{place}.{field}"), reason);
        if let Some(reason) = no_socket_path(&self.socket) {
            wrong("socket", reason);
        }
        if self.address.is_group() || self.address.0 == [0; 6] {
            wrong(
                "address",
                format!(
                    "`{}` is no address of one station; such as 02:00:00:00:00:01",
                    self.address
                ),
            );
        }
        if let Some(secret) = self.stamp_secret
            && secret >> SECRET_BITS != 0
        {
            wrong(
                "stamp-secret",
                format!("it has more than {SECRET_BITS} bits; 0 to 0xffffffffffff"),
            );
        }
    }
}

/// Why no socket can have this path.
fn no_socket_path(path: &Path) -> Option<String> {
    let text = path.to_string_lossy();
    if !path.is_absolute() {
        return Some(format!(
            "`{}` is no absolute path; such as /run/tsnd/vm1.sock",
            printable(&text)
        ));
    }
    // It becomes an argument of a virtual device of DPDK.
    if let Some(wrong) = text
        .chars()
        .find(|c| !c.is_ascii_graphic() || ",[]".contains(*c))
    {
        return Some(format!(
            "`{}` has {wrong:?}; only printable ASCII without spaces, `,`, `[` and `]`",
            printable(&text)
        ));
    }
    let bytes = path.as_os_str().len();
    (bytes > MAX_SOCKET_PATH_BYTES).then(|| {
        format!(
            "the path has {bytes} bytes; that of a unix socket has {MAX_SOCKET_PATH_BYTES} at most"
        )
    })
}

fn write_address<S: Serializer>(address: &MacAddress, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

fn read_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MacAddress, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::super::{Configuration, Pod};
    use tsn_port::{MacAddress, PodEnd, VhostUserEnd};

    const SOCKET: &str = "vhost-user: { socket: /run/a.sock, address: \"02:00:00:00:00:01\" }";

    fn with(end: &str) -> String {
        format!(
            "uplinks:\n  - device: a\npods:\n  - name: p\n    streams: [{{ name: s, match: {{}}, traffic-class: 0 }}]\n    {end}\n"
        )
    }

    fn pod(end: &str) -> Pod {
        let configuration = Configuration::from_yaml(&with(end));
        configuration
            .unwrap_or_else(|error| panic!("{end}: {error}"))
            .pods
            .remove(0)
    }

    #[track_caller]
    fn refused(end: &str, said: &str) {
        let error = Configuration::from_yaml(&with(end)).expect_err(end);
        assert!(error.to_string().starts_with(said), "{error}\nfor:\n{end}");
    }

    #[test]
    fn a_pod_with_a_socket_is_read_and_means_the_same_after_it_was_written() {
        let address = MacAddress([2, 0, 0, 0, 0, 1]);
        let end = VhostUserEnd {
            socket: "/run/a.sock".into(),
            peer_listens: false,
            address,
            stamp_secret: None,
        };
        assert_eq!(pod(SOCKET).end(), Some(PodEnd::VhostUser(end.clone())));
        let all = pod(
            "vhost-user: { socket: /run/a.sock, peer-listens: true, address: \"02:00:00:00:00:01\", \
             stamp-secret: 0xffffffffffff }",
        );
        let end = VhostUserEnd {
            peer_listens: true,
            stamp_secret: Some((1 << 48) - 1),
            ..end
        };
        assert_eq!(all.end(), Some(PodEnd::VhostUser(end)));
        for pod in [all, pod(SOCKET), pod("netns: /x")] {
            let json = serde_json::to_string(&pod).unwrap();
            assert_eq!(serde_json::from_str::<Pod>(&json).unwrap(), pod, "{json}");
            assert!(!json.contains("null"), "{json}");
        }
    }

    #[test]
    fn a_pod_has_one_end() {
        refused(
            "frame-quota: 1",
            "4:5: pods[0]: it has neither `netns` nor `vhost-user`",
        );
        let both = format!("netns: /x\n    {SOCKET}");
        refused(&both, "7:17: pods[0].vhost-user: the pod has a `netns` too");
        let interface = format!("interface: eth1\n    {SOCKET}");
        refused(
            &interface,
            "6:16: pods[0].interface: a pod with `vhost-user` has no interface",
        );
    }

    #[test]
    fn what_no_socket_or_station_can_have_is_refused() {
        let long = format!("/run/{}", "x".repeat(103));
        for (from, to, said) in [
            (
                "/run/a",
                "run/a",
                "6:27: pods[0].vhost-user.socket: `run/a.sock` is no absolute",
            ),
            (
                "/run/a.sock",
                "\"/run/a,client=1\"",
                "6:27: pods[0].vhost-user.socket: `/run/a,client=1` has ','",
            ),
            (
                "/run/a",
                "/run/a b",
                "6:27: pods[0].vhost-user.socket: `/run/a b.sock` has ' '",
            ),
            (
                "/run/a",
                "/run/ä",
                "6:27: pods[0].vhost-user.socket: `/run/ä.sock` has 'ä'",
            ),
            (
                "/run/a",
                &long,
                "6:27: pods[0].vhost-user.socket: the path has 113 bytes",
            ),
            (
                "02:",
                "03:",
                "6:49: pods[0].vhost-user.address: `03:00:00:00:00:01` is no",
            ),
            (
                "02:00:00:00:00:01",
                "00:00:00:00:00:00",
                "6:49: pods[0].vhost-user.address: `00:",
            ),
            (
                "02:",
                "",
                "6:49: pods[0].vhost-user.address: `00:00:00:00:01` is no MAC address",
            ),
            (
                " }",
                ", stamp-secret: 0x1000000000000 }",
                "6:84: pods[0].vhost-user.stamp-secret: it",
            ),
            (
                " }",
                ", secret: 1 }",
                "6:70: pods[0].vhost-user.secret: unknown field",
            ),
        ] {
            refused(&SOCKET.replace(from, to), said);
        }
    }
}
