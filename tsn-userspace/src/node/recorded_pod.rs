//! From a record of the CNI plugin to the pod that it asks for.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;
use tsn_cni::record::{Key, Record};
use tsn_port::{MacAddressError, PodAddresses};

use crate::config::{
    ClassReference, ConfigurationError, Match, Mode, Narrowing, Pod, Profile, VhostUser, printable,
};

/// Longest name of a pod.
const NAME_BYTES: usize = 63;

/// The name under which the daemon knows a record's pod, the same at each start: interface and container ID, as far as
/// they fit, which is all but the last few digits of the ID.
pub(super) fn pod_name(key: &Key) -> String {
    let text = format!("{}-{}", key.interface, key.container_id);
    let safe = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '_',
    };
    let name: String = text.chars().map(safe).take(NAME_BYTES).collect();
    // A pin must not be hidden.
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

/// What is at the path of a record's network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    /// The one that the record was made for.
    Here,
    /// Nothing, or another one.
    Gone,
    /// Something that tells nothing: a directory that this daemon does not see into, or a file over which the runtime's
    /// mount is missing here.
    Hidden,
}

/// Looks for the network namespace that the record was made for.
pub(super) fn look_for_namespace(record: &Record) -> Namespace {
    let path = &record.netns;
    let namespaces = fs::metadata("/proc/self/ns/net").map(|own| own.dev());
    match (fs::metadata(path), namespaces) {
        (Ok(found), _) if found.ino() == record.netns_inode => Namespace::Here,
        (Ok(found), Ok(namespaces)) if found.dev() == namespaces => Namespace::Gone,
        (Err(error), _)
            if error.kind() == io::ErrorKind::NotFound
                && path.parent().is_some_and(Path::is_dir) =>
        {
            Namespace::Gone
        }
        _ => Namespace::Hidden,
    }
}

/// The pod that a record asks for, as far as its profile allows.
///
/// # Errors
///
/// The field of the record's request that cannot be had, and what can.
pub(super) fn pod_of(
    record: &Record,
    profiles: &[Profile],
    class_names: &[Option<String>; 8],
) -> Result<Pod, ConfigurationError> {
    let request = &record.request;
    let profile = profiles
        .iter()
        .find(|profile| profile.name == request.profile)
        .ok_or_else(|| no_profile(&request.profile, profiles))?;
    let by = Narrowing {
        traffic_class: request.traffic_class.as_deref().map(class),
        selector: selector(&request.selector)?,
    };
    let vhost_user = record.vhost_user.as_ref().map(vhost_user).transpose()?;
    Ok(Pod {
        vhost_user,
        mode: profile.mode,
        frame_quota: profile.frame_quota,
        streams: profile.narrowed(&by, class_names)?,
        ..without_streams(record)
    })
}

/// The addresses that the record's interface was given, as far as the plugin was told.
///
/// # Errors
///
/// An Ethernet address that is none.
pub(super) fn addresses_of(record: &Record) -> Result<PodAddresses, ConfigurationError> {
    let mac = record.mac.as_deref().map(str::parse).transpose();
    Ok(PodAddresses {
        mac: mac.map_err(|error: MacAddressError| ConfigurationError {
            place: "mac".to_owned(),
            reason: format!("{error}"),
        })?,
        ips: record.ips.clone(),
    })
}

/// What is known of a pod whose request cannot be had.
pub(super) fn without_streams(record: &Record) -> Pod {
    let has_interface = record.vhost_user.is_none();
    Pod {
        name: pod_name(&record.key()),
        netns: has_interface.then(|| record.netns.clone()),
        interface: has_interface.then(|| record.interface.clone()),
        vhost_user: None,
        mode: Mode::default(),
        frame_quota: 0,
        streams: Vec::new(),
    }
}

fn no_profile(wanted: &str, profiles: &[Profile]) -> ConfigurationError {
    let names: Vec<&str> = profiles
        .iter()
        .map(|profile| profile.name.as_str())
        .collect();
    ConfigurationError {
        place: "profile".to_owned(),
        reason: format!(
            "there is no profile `{}` in the daemon's configuration; it has [{}]",
            printable(wanted),
            names.join(", ")
        ),
    }
}

/// By number or name; no class has a number for a name.
fn class(text: &str) -> ClassReference {
    match text.parse() {
        Ok(number) => ClassReference::Number(number),
        Err(_) => ClassReference::Name(text.to_owned()),
    }
}

fn selector(fields: &serde_json::Map<String, Value>) -> Result<Match, ConfigurationError> {
    serde_path_to_error::deserialize(Value::Object(fields.clone())).map_err(|error| {
        let place = match error.path().to_string().as_str() {
            "." => "match".to_owned(),
            field => format!("match.{}", printable(field)),
        };
        ConfigurationError {
            place,
            reason: printable(&error.into_inner().to_string()),
        }
    })
}

fn vhost_user(end: &tsn_cni::record::VhostUser) -> Result<VhostUser, ConfigurationError> {
    let address = end.address.parse().map_err(|error| ConfigurationError {
        place: "vhost-user.address".to_owned(),
        reason: format!("{error}"),
    })?;
    Ok(VhostUser {
        socket: end.socket.clone(),
        peer_listens: end.peer_listens,
        address,
        stamp_secret: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tsn_cni::record::Request;
    use tsn_port::MacAddress;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn key(container_id: &str, interface: &str) -> Key {
        Key {
            network: "net".to_owned(),
            container_id: container_id.to_owned(),
            interface: interface.to_owned(),
        }
    }

    fn record(request: Value) -> Record {
        Record {
            network: "net".to_owned(),
            container_id: ID.to_owned(),
            interface: "eth0".to_owned(),
            netns: "/proc/self/ns/net".into(),
            netns_inode: 0,
            mac: None,
            ips: Vec::new(),
            pod: None,
            request: serde_json::from_value::<Request>(request).unwrap(),
            vhost_user: None,
        }
    }

    fn pod(record: &Record) -> Result<Pod, String> {
        let profiles: Vec<Profile> = serde_json::from_value(json!([{
            "name": "motion",
            "frame-quota": 9,
            "streams": [
                { "name": "a", "match": { "udp-destination-port": 5001 }, "traffic-class": "control" },
                { "name": "b", "match": {}, "traffic-class": 5 },
            ],
        }]))
        .unwrap();
        let mut names: [Option<String>; 8] = Default::default();
        names[7] = Some("control".to_owned());
        pod_of(record, &profiles, &names).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pod_is_named_by_interface_and_container() {
        let name = pod_name(&key(ID, "eth0"));
        assert_eq!(name, format!("eth0-{}", &ID[..58]));
        assert_eq!(pod_name(&key("c1", "net1")), "net1-c1");
        assert_eq!(pod_name(&key("c1", ".x@y")), "_x_y-c1");
        assert_eq!(pod_name(&key("c1", "é")), "_-c1");
    }

    #[test]
    fn a_record_is_given_what_its_profile_has_and_its_request_leaves() {
        let all = pod(&record(json!({ "profile": "motion" }))).unwrap();
        assert_eq!((all.frame_quota, all.streams.len()), (9, 2));
        assert_eq!(all.interface.as_deref(), Some("eth0"));
        for class in ["control", "7"] {
            let request = json!({ "profile": "motion", "traffic-class": class });
            assert_eq!(pod(&record(request)).unwrap().streams.len(), 1);
        }
        let request = json!({ "profile": "motion", "match": { "udp-destination-port": 6000 } });
        let narrow = pod(&record(request)).unwrap();
        assert_eq!(narrow.streams[0].name, "b");
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_its_field() {
        for (request, said) in [
            (
                json!({ "profile": "other" }),
                "profile: there is no profile `other` in the daemon's configuration; it has [motion]",
            ),
            (
                json!({ "profile": "motion", "traffic-class": "video" }),
                "traffic-class: no stream of profile `motion` has class `video`; it has [control, 5]",
            ),
            (
                json!({ "profile": "motion", "match": { "port": 1 } }),
                "match.port: unknown field `port`, expected one of `ethertype`",
            ),
            (
                json!({ "profile": "motion", "match": { "pcp": "x" } }),
                "match.pcp: invalid type",
            ),
        ] {
            let error = pod(&record(request)).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_socket_takes_the_place_of_the_interface() {
        let mut record = record(json!({ "profile": "motion" }));
        record.vhost_user = Some(tsn_cni::record::VhostUser {
            socket: "/run/a.sock".into(),
            peer_listens: true,
            address: "02:00:00:00:00:01".to_owned(),
        });
        let made = pod(&record).unwrap();
        assert_eq!((&made.netns, &made.interface), (&None, &None));
        assert!(made.vhost_user.is_some_and(|end| end.peer_listens));
        record.vhost_user.as_mut().unwrap().address = "2".to_owned();
        assert!(
            pod(&record)
                .unwrap_err()
                .starts_with("vhost-user.address: ")
        );
    }

    #[test]
    fn an_interface_has_the_addresses_that_the_plugin_was_told() {
        let mut record = record(json!({ "profile": "motion" }));
        assert_eq!(addresses_of(&record), Ok(PodAddresses::default()));
        record.mac = Some("02:00:00:00:00:01".to_owned());
        record.ips = vec!["10.1.2.3".parse().unwrap(), "fd00::3".parse().unwrap()];
        let told = addresses_of(&record).unwrap();
        assert_eq!(told.mac, Some(MacAddress([2, 0, 0, 0, 0, 1])));
        assert_eq!(told.ips, record.ips);
        record.mac = Some("2".to_owned());
        let error = addresses_of(&record).unwrap_err().to_string();
        assert!(error.starts_with("mac: `2` is no MAC address"), "{error}");
    }

    #[test]
    fn a_namespace_is_told_from_another_at_its_path() {
        let mut record = record(json!({ "profile": "motion" }));
        assert_eq!(look_for_namespace(&record), Namespace::Gone);
        record.netns_inode = fs::metadata(&record.netns).unwrap().ino();
        assert_eq!(look_for_namespace(&record), Namespace::Here);
        record.netns = "/nonexistent".into();
        assert_eq!(look_for_namespace(&record), Namespace::Gone);
        // What a daemon sees to which the runtime's mounts are not propagated.
        for hidden in [
            "/nonexistent/netns/a",
            "/proc/self/status",
            "/proc/self/status/a",
        ] {
            record.netns = hidden.into();
            assert_eq!(look_for_namespace(&record), Namespace::Hidden, "{hidden}");
        }
    }
}
