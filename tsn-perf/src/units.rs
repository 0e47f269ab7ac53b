//! What a person types on the command line: durations, hardware addresses, EtherTypes.

use std::fmt;
use std::str::FromStr;

/// Parses a duration with its unit, such as `500us` or `1.5ms`, into ns.
///
/// # Errors
///
/// Says what is missing, with an example.
pub fn parse_duration_ns(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let ns_per_unit = match unit {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => {
            return Err(format!(
                "\"{text}\" needs a unit: ns, us, ms or s, such as 500us"
            ));
        }
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("\"{text}\" is no duration such as 500us"))?;
    let ns = number * ns_per_unit;
    // Beyond 2^53 an f64 no longer counts single nanoseconds: 104 days are more than any run takes.
    if !(0.0..9e15).contains(&ns) {
        return Err(format!("\"{text}\" is not between 0 and 104 days"));
    }
    Ok(ns.round() as u64)
}

/// A hardware address (EUI-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

impl FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no hardware address such as 02:00:00:00:00:01");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Parses an EtherType, such as `0x88b5` or `34997`. Values below 0x600 are lengths (IEEE 802.3).
///
/// # Errors
///
/// Says what is wrong, with an example.
pub fn parse_ethertype(text: &str) -> Result<u16, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match parsed {
        Ok(0x8100 | 0x88a8) => Err(format!("{text} is a VLAN tag: give the tag with --vlan")),
        Ok(ethertype) if ethertype >= 0x600 => Ok(ethertype),
        _ => Err(format!(
            "\"{text}\" is no EtherType from 0x600 to 0xffff, such as 0x88b5"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration_ns("500us"), Ok(500_000));
        assert_eq!(parse_duration_ns("1.5ms"), Ok(1_500_000));
        assert_eq!(parse_duration_ns("30 s"), Ok(30_000_000_000));
        for wrong in ["", "5", "ms", "-1ms", "5m", "1e300s", "nan ns"] {
            assert!(parse_duration_ns(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hardware_addresses_round_trip() {
        let text = "02:00:5e:10:aB:01";
        let address: MacAddress = text.parse().unwrap();
        assert_eq!(address.0, [2, 0, 0x5e, 0x10, 0xab, 1]);
        assert_eq!(address.to_string(), text.to_lowercase());
        for wrong in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
            "+2:00:00:00:00:0g",
        ] {
            assert!(wrong.parse::<MacAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ethertypes_are_neither_lengths_nor_tags() {
        assert_eq!(parse_ethertype("0x88b5"), Ok(0x88b5));
        for wrong in ["0x5ff", "0x8100", "0x10000", "x", ""] {
            assert!(parse_ethertype(wrong).is_err(), "{wrong}");
        }
    }
}
