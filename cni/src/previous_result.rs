//! The result of the plugins before this one in the chain (CNI specification 1.1.0, "Section 5").

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::{Code, Error};
use crate::version::Version;

/// A result as it came.
#[derive(Debug)]
pub(crate) struct PreviousResult(Box<RawValue>);

/// An interface that a plugin before this one made.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Empty where the plugin does not tell.
    pub(crate) mac: String,
    /// Path of the namespace; empty for an interface of the host.
    pub(crate) sandbox: String,
    /// Address on the PCI bus, from version 1.1.0 on.
    #[serde(rename = "pciID")]
    pub(crate) pci_id: String,
}

impl PreviousResult {
    pub(crate) fn new(json: Box<RawValue>) -> Self {
        Self(json)
    }

    /// The result in this version. One that has the version already comes back byte for byte.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidConfiguration`] if it is no object.
    pub(crate) fn in_version(&self, version: Version) -> Result<String, Error> {
        let mut result: Map<String, Value> = serde_json::from_str(self.0.get()).map_err(invalid)?;
        let was = result.insert("cniVersion".to_owned(), version.as_str().into());
        if was.as_ref().and_then(Value::as_str) == Some(version.as_str()) {
            return Ok(self.0.get().to_owned());
        }
        let addresses = result.get_mut("ips").and_then(Value::as_array_mut);
        for address in addresses
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            tell_family(address, version);
        }
        Ok(Value::Object(result).to_string())
    }

    /// The interface of this name in the pod.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidConfiguration`] if the list of interfaces is none.
    pub(crate) fn interface(&self, name: &str) -> Result<Option<Interface>, Error> {
        let mut made = self.made()?.interfaces.unwrap_or_default().into_iter();
        Ok(made.find(|interface| interface.is_in_pod(name)))
    }

    /// The Ethernet address of the interface of this name in the pod.
    ///
    /// # Errors
    ///
    /// As [`interface`](Self::interface).
    pub(crate) fn mac(&self, name: &str) -> Result<Option<String>, Error> {
        let mac = self.interface(name)?.map(|interface| interface.mac);
        Ok(mac.filter(|mac| !mac.is_empty()))
    }

    /// The IP addresses of the interface of this name in the pod; those that are of no interface are of this one.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidConfiguration`] if the list of interfaces or of addresses is none.
    pub(crate) fn ips(&self, name: &str) -> Result<Vec<IpAddr>, Error> {
        let Made { interfaces, ips } = self.made()?;
        let interfaces = interfaces.unwrap_or_default();
        let position = interfaces
            .iter()
            .position(|interface| interface.is_in_pod(name));
        let of_this = |ip: &Ip| ip.interface.is_none() || ip.interface == position;
        let ips = ips.unwrap_or_default().into_iter().filter(of_this);
        ips.map(|ip| ip.address()).collect()
    }

    fn made(&self) -> Result<Made, Error> {
        serde_json::from_str(self.0.get()).map_err(invalid)
    }
}

/// What the plugins before this one made.
#[derive(Deserialize)]
struct Made {
    interfaces: Option<Vec<Interface>>,
    ips: Option<Vec<Ip>>,
}

/// An address that they gave.
#[derive(Deserialize)]
struct Ip {
    /// With the length of its prefix.
    address: String,
    /// To which interface, by its place in the list.
    interface: Option<usize>,
}

impl Interface {
    fn is_in_pod(&self, name: &str) -> bool {
        self.name == name && !self.sandbox.is_empty()
    }
}

impl Ip {
    fn address(&self) -> Result<IpAddr, Error> {
        let (address, _prefix) = self.address.split_once('/').unwrap_or((&self.address, ""));
        address.parse().map_err(|_| {
            let message = format!(
                "`prevResult` has the address `{}` in `ips`, must be an IP address and the length of its prefix, such as \
                 10.1.2.3/24",
                self.address
            );
            Error::new(Code::InvalidConfiguration, message)
        })
    }
}

fn invalid(error: serde_json::Error) -> Error {
    Error::new(
        Code::InvalidConfiguration,
        format!("`prevResult` is no result: {error}"),
    )
}

/// Addresses tell their family as `version` before 1.0.0, and not since.
fn tell_family(address: &mut Map<String, Value>, version: Version) {
    if version >= Version::V1_0_0 {
        address.remove("version");
    } else if !address.contains_key("version") {
        let text = address
            .get("address")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let family = if text.contains(':') { "6" } else { "4" };
        address.insert("version".to_owned(), json!(family));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(json: &str) -> PreviousResult {
        PreviousResult::new(RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn a_result_of_the_same_version_keeps_every_byte() {
        for version in Version::ALL {
            let json = format!(
                r#"{{ "z": 1.50, "cniVersion":"{version}", "ips": [{{"version":"9"}}], "n": 18446744073709551616, "z": 2 }}"#
            );
            assert_eq!(result(&json).in_version(version).unwrap(), json);
        }
    }

    #[test]
    fn a_result_of_another_version_is_put_into_that_which_was_asked_for() {
        let old = r#"{"cniVersion":"0.3.1","ips":[{"version":"4","address":"10.0.0.2/24"}],"x":{"y":[1]}}"#;
        let new = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/24"}],"x":{"y":[1]}}"#;
        let value = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        assert_eq!(
            value(&result(old).in_version(Version::V1_0_0).unwrap()),
            value(new)
        );
        assert_eq!(
            value(&result(new).in_version(Version::V0_3_1).unwrap()),
            value(old)
        );
        let without = result(r#"{"ips":[{"address":"fd00::2/64"}]}"#);
        assert_eq!(
            value(&without.in_version(Version::V0_4_0).unwrap()),
            value(r#"{"cniVersion":"0.4.0","ips":[{"address":"fd00::2/64","version":"6"}]}"#)
        );
    }

    #[test]
    fn an_interface_is_found_inside_the_pod_only() {
        let json = r#"{"interfaces":[{"name":"eth0"},{"name":"eth0","sandbox":"/n","mac":"02:00:00:00:00:01"}]}"#;
        let found = result(json).interface("eth0").unwrap().unwrap();
        assert_eq!(
            (found.mac.as_str(), found.sandbox.as_str()),
            ("02:00:00:00:00:01", "/n")
        );
        assert_eq!(result(json).interface("net1").unwrap(), None);
        for nothing in ["{}", r#"{"interfaces":null}"#, r#"{"interfaces":[]}"#] {
            assert_eq!(result(nothing).interface("eth0").unwrap(), None);
        }
    }

    #[test]
    fn an_interface_has_the_addresses_that_it_was_given() {
        let json = r#"{
            "interfaces": [{"name":"eth0"}, {"name":"eth0","sandbox":"/n","mac":"02:00:00:00:00:01"}, {"name":"net1","sandbox":"/n"}],
            "ips": [
                {"version":"4","address":"10.0.0.2/24","gateway":"10.0.0.1","interface":1},
                {"address":"10.0.0.1/24","interface":0},
                {"address":"10.9.0.2/24","interface":2},
                {"address":"fd00::2/64"}
            ]
        }"#;
        let ips = |json: &str, name: &str| {
            let ips = result(json).ips(name).unwrap();
            ips.iter().map(IpAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(ips(json, "eth0"), ["10.0.0.2", "fd00::2"]);
        assert_eq!(ips(json, "net1"), ["10.9.0.2", "fd00::2"]);
        let mac = result(json).mac("eth0").unwrap();
        assert_eq!(mac.as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!(result(json).mac("net1").unwrap(), None);
        for nothing in ["{}", r#"{"ips":null}"#, r#"{"ips":[]}"#] {
            assert!(ips(nothing, "eth0").is_empty());
        }
        let error = result(r#"{"ips":[{"address":"10.0.0/8"}]}"#).ips("eth0");
        let error = error.unwrap_err();
        assert_eq!(error.code, Code::InvalidConfiguration);
        assert!(error.to_string().contains("`10.0.0/8`"), "{error}");
    }

    #[test]
    fn what_is_no_result_is_an_error() {
        for json in ["[]", "7", "\"x\"", "null"] {
            let error = result(json).in_version(Version::LATEST).unwrap_err();
            assert_eq!(error.code, Code::InvalidConfiguration);
        }
        assert!(result(r#"{"interfaces":{}}"#).interface("eth0").is_err());
    }
}
