//! Values with units, as people write them.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use tsn_core::{CycleTime, Nanoseconds, TaiTime, TrafficClass};

const UNITS: [(&str, u64); 5] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
];

/// A duration: whole nanoseconds, or text with a unit (`300us`, `1ms`, `0.5ms`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Interval {
    /// Nanoseconds.
    pub ns: u64,
}

impl Interval {
    /// So many nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self { ns }
    }

    /// So many microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self { ns: us * 1_000 }
    }

    /// For the standard library.
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.ns)
    }
}

impl From<Interval> for Nanoseconds {
    fn from(interval: Interval) -> Self {
        Nanoseconds::from_nanos(interval.ns)
    }
}

impl std::str::FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no duration; write whole nanoseconds or a number with ns, us, ms or s (`300us`)"
            )
        };
        let digits = text
            .find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim();
        let scale = if unit.is_empty() {
            1
        } else {
            UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(wrong)?
                .1
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let mut ns = whole
            .parse::<u64>()
            .map_err(|_| wrong())?
            .checked_mul(scale)
            .ok_or_else(wrong)?;
        let mut place = scale;
        if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(wrong()); // a second point
        }
        for digit in fraction.bytes() {
            if place % 10 != 0 {
                return Err(format!("`{text}` is finer than a nanosecond; round it"));
            }
            place /= 10;
            ns = ns
                .checked_add(u64::from(digit - b'0') * place)
                .ok_or_else(wrong)?;
        }
        Ok(Self { ns })
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;
        impl Visitor<'_> for AsWritten {
            type Value = Interval;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration: nanoseconds, or text such as `300us`")
            }
            fn visit_u64<E: de::Error>(self, ns: u64) -> Result<Interval, E> {
                Ok(Interval { ns })
            }
            fn visit_i64<E: de::Error>(self, ns: i64) -> Result<Interval, E> {
                u64::try_from(ns)
                    .map(Interval::from_ns)
                    .map_err(|_| E::custom(format!("{ns} ns is negative; a duration is 0 or more")))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Interval, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}

impl JsonSchema for Interval {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interval".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: whole nanoseconds, or text with a unit (ns, us, ms, s).",
            "oneOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9]+([.][0-9]+)? ?(ns|us|µs|ms|s)?$" },
            ],
        })
    }
}

/// `admin-base-time`: `{seconds, nanoseconds}` as in the YANG module, or nanoseconds, or text with a unit; TAI since
/// the PTP epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BaseTime {
    /// Whole seconds since the PTP epoch (TAI).
    pub seconds: u64,
    /// Nanoseconds beyond, 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl BaseTime {
    /// From nanoseconds since the PTP epoch.
    pub const fn from_ns(ns: u64) -> Self {
        Self {
            seconds: ns / 1_000_000_000,
            nanoseconds: (ns % 1_000_000_000) as u32,
        }
    }

    /// From seconds and nanoseconds since the PTP epoch.
    ///
    /// # Errors
    ///
    /// When `nanoseconds` is a second or more, or the instant does not fit into 64-bit nanoseconds.
    pub fn checked(seconds: u64, nanoseconds: u32) -> Result<Self, String> {
        const LAST_SECOND: u64 = u64::MAX / 1_000_000_000 - 1;
        if nanoseconds >= 1_000_000_000 {
            return Err(format!(
                "nanoseconds is {nanoseconds}; it counts below one second, so at most 999999999"
            ));
        }
        if seconds > LAST_SECOND {
            return Err(format!(
                "seconds is {seconds}; at most {LAST_SECOND} fit into 64-bit nanoseconds"
            ));
        }
        Ok(Self {
            seconds,
            nanoseconds,
        })
    }

    /// As an instant.
    pub const fn instant(self) -> TaiTime {
        TaiTime::from_nanos(self.seconds * 1_000_000_000 + self.nanoseconds as u64)
    }
}

impl<'de> Deserialize<'de> for BaseTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct Parts {
            seconds: u64,
            #[serde(default)]
            nanoseconds: u32,
        }
        struct AsWritten;
        impl<'de> Visitor<'de> for AsWritten {
            type Value = BaseTime;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{seconds, nanoseconds}, nanoseconds, or text such as `2s` (TAI since the PTP epoch)")
            }
            fn visit_u64<E: de::Error>(self, ns: u64) -> Result<BaseTime, E> {
                Ok(BaseTime::from_ns(ns))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<BaseTime, E> {
                text.parse::<Interval>()
                    .map(|at| BaseTime::from_ns(at.ns))
                    .map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BaseTime, A::Error> {
                let Parts {
                    seconds,
                    nanoseconds,
                } = Parts::deserialize(de::value::MapAccessDeserializer::new(map))?;
                BaseTime::checked(seconds, nanoseconds).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}

/// `admin-cycle-time`: `{numerator, denominator}` in seconds as in the YANG module, or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CycleTimeSetting {
    /// Numerator of the cycle time in seconds; at least 1.
    pub numerator: u32,
    /// Denominator of the cycle time in seconds; at least 1.
    pub denominator: u32,
}

impl CycleTimeSetting {
    /// A cycle of this duration, as a reduced fraction of a second.
    ///
    /// # Errors
    ///
    /// When that is no fraction of 32-bit numbers: for some durations of 4.29 s and more.
    pub fn from_interval(interval: Interval) -> Result<Self, String> {
        let (mut a, mut b) = (interval.ns, 1_000_000_000u64);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let reduced = u32::try_from(interval.ns / a.max(1));
        match reduced {
            Ok(numerator) => Ok(Self {
                numerator,
                denominator: (1_000_000_000 / a.max(1)) as u32,
            }),
            Err(_) => Err(format!(
                "a cycle of {} ns is no fraction of 32-bit numbers; give numerator and denominator",
                interval.ns
            )),
        }
    }
}

impl From<CycleTimeSetting> for CycleTime {
    fn from(setting: CycleTimeSetting) -> Self {
        CycleTime {
            numerator: setting.numerator,
            denominator: setting.denominator,
        }
    }
}

impl<'de> Deserialize<'de> for CycleTimeSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct Parts {
            numerator: u32,
            denominator: u32,
        }
        struct AsWritten;
        impl<'de> Visitor<'de> for AsWritten {
            type Value = CycleTimeSetting;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{numerator, denominator} in seconds, or a duration such as `1ms`")
            }
            fn visit_u64<E: de::Error>(self, ns: u64) -> Result<CycleTimeSetting, E> {
                CycleTimeSetting::from_interval(Interval { ns }).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<CycleTimeSetting, E> {
                text.parse()
                    .and_then(CycleTimeSetting::from_interval)
                    .map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CycleTimeSetting, A::Error> {
                let Parts {
                    numerator,
                    denominator,
                } = Parts::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(CycleTimeSetting {
                    numerator,
                    denominator,
                })
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}

/// A traffic class by its number (0 to 7) or by the name that the uplink gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ClassReference {
    /// 0 to 7.
    Number(u8),
    /// The `name` of one of the uplink's traffic classes.
    Name(String),
}

impl ClassReference {
    /// The class that is meant on an uplink whose classes have these names; `None` if there is none.
    pub fn resolve(&self, names: &[Option<String>; 8]) -> Option<TrafficClass> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Name(wanted) => names
                .iter()
                .position(|name| name.as_deref() == Some(wanted))
                .map(|number| number as u8),
        };
        number.and_then(TrafficClass::new)
    }
}

impl fmt::Display for ClassReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

struct ClassAsWritten;

impl Visitor<'_> for ClassAsWritten {
    type Value = ClassReference;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a traffic class: 0 to 7, or its name")
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<ClassReference, E> {
        match u8::try_from(number) {
            Ok(number) if number < 8 => Ok(ClassReference::Number(number)),
            _ => Err(E::custom(format!(
                "traffic class {number} does not exist; classes are 0 to 7"
            ))),
        }
    }
    fn visit_str<E: de::Error>(self, name: &str) -> Result<ClassReference, E> {
        Ok(ClassReference::Name(name.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ClassReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClassAsWritten)
    }
}

/// `gate-states-value`: a mask (bit i = class i), or the classes whose gates are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum GateStatesValue {
    /// Bit i is traffic class i; 1 is open.
    Mask(u8),
    /// The open classes, by number or name; an empty list closes all.
    Open(Vec<ClassReference>),
}

impl<'de> Deserialize<'de> for GateStatesValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;
        impl<'de> Visitor<'de> for AsWritten {
            type Value = GateStatesValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mask of 0 to 255, or a list of open traffic classes")
            }
            fn visit_u64<E: de::Error>(self, mask: u64) -> Result<GateStatesValue, E> {
                u8::try_from(mask).map(GateStatesValue::Mask).map_err(|_| {
                    E::custom(format!(
                        "gate-states-value {mask} has more than eight bits; 0 to 255"
                    ))
                })
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<GateStatesValue, E> {
                match text
                    .strip_prefix("0x")
                    .map(|hex| u8::from_str_radix(hex, 16))
                {
                    Some(Ok(mask)) => Ok(GateStatesValue::Mask(mask)),
                    Some(Err(_)) => Err(E::custom(format!("`{text}` is no mask; 0x00 to 0xff"))),
                    None => Ok(GateStatesValue::Open(vec![ClassReference::Name(
                        text.to_owned(),
                    )])),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<GateStatesValue, A::Error> {
                let mut open = Vec::new();
                while let Some(class) = seq.next_element()? {
                    open.push(class);
                }
                Ok(GateStatesValue::Open(open))
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        for (text, ns) in [
            ("0", 0),
            ("17", 17),
            ("300us", 300_000),
            ("0.5ms", 500_000),
            ("1.25 us", 1_250),
        ] {
            assert_eq!(text.parse::<Interval>().map(|i| i.ns), Ok(ns), "{text}");
        }
    }

    #[test]
    fn wrong_durations_are_refused() {
        for text in [
            "",
            "ms",
            "1.5ns",
            "-3us",
            "1min",
            "1e3",
            "99999999999999999999",
            "20000000000s",
            "1..2us",
        ] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_cycle_given_as_duration_is_reduced() {
        let cycle = CycleTimeSetting::from_interval(Interval::from_us(1_000)).unwrap();
        assert_eq!((cycle.numerator, cycle.denominator), (1, 1_000));
        assert!(CycleTimeSetting::from_interval(Interval::from_ns(5_000_000_001)).is_err());
    }
}
