//! The daemon's counters and the sums that must hold.

use serde_json::Value;
use tsn_tests::daemon::Daemon;

/// A JSON value as a number.
pub fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// The sum of an object's numbers, such as `drops`.
pub fn sum(object: &Value) -> u64 {
    object
        .as_object()
        .unwrap_or_else(|| panic!("{object} is no object"))
        .values()
        .map(number)
        .sum()
}

/// The numbers of an object that are not 0, as text.
pub fn causes(object: &Value) -> String {
    let named: Vec<String> = object
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| number(value) > 0)
        .map(|(name, value)| format!("{value} {name}"))
        .collect();
    if named.is_empty() {
        "none".to_owned()
    } else {
        named.join(", ")
    }
}

/// Everything that the daemon tells of its counters at one moment of rest.
pub struct Counters {
    /// `GET /v1/status`.
    pub status: Value,
    /// `GET /v1/pods`.
    pub pods: Value,
}

impl Counters {
    /// Asks the daemon.
    pub fn of(daemon: &Daemon) -> Self {
        Self {
            status: daemon.control.get("/v1/status").unwrap(),
            pods: daemon.control.get("/v1/pods").unwrap(),
        }
    }

    /// A class by its number.
    pub fn class(&self, wanted: u64) -> &Value {
        self.classes()
            .iter()
            .find(|class| class["number"] == wanted)
            .unwrap_or_else(|| panic!("no class {wanted}"))
    }

    /// A pod by its name.
    pub fn pod(&self, wanted: &str) -> &Value {
        self.pods()
            .iter()
            .find(|pod| pod["pod"]["name"] == wanted)
            .unwrap_or_else(|| panic!("no pod {wanted}"))
    }

    /// A stream of a pod by its name.
    pub fn stream(&self, pod: &str, wanted: &str) -> &Value {
        self.pod(pod)["streams"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stream| stream["name"] == wanted)
            .unwrap_or_else(|| panic!("no stream {wanted}"))
    }

    /// All frames that the daemon received from pods.
    pub fn all_received(&self) -> u64 {
        let received = self.pods().iter().map(|pod| number(&pod["received"]));
        received.sum()
    }

    /// All frames that wait in the scheduler.
    pub fn all_queued(&self) -> u64 {
        let queued = self.classes().iter().map(|class| number(&class["queued"]));
        queued.sum()
    }

    /// All frames that the daemon or the kernel on its behalf dropped, whatever the cause.
    pub fn all_drops(&self) -> u64 {
        let of = |list: &[Value]| {
            list.iter()
                .map(|element| sum(&element["drops"]))
                .sum::<u64>()
        };
        of(self.classes()) + of(self.pods()) + sum(&self.status["uplink"]["drops"])
    }

    /// All drops by cause, as text.
    pub fn all_causes(&self) -> String {
        let elements = self.classes().iter().chain(self.pods());
        let named: Vec<String> = elements
            .chain([&self.status["uplink"]])
            .map(|element| causes(&element["drops"]))
            .filter(|causes| causes != "none")
            .collect();
        if named.is_empty() {
            "none".to_owned()
        } else {
            named.join(", ")
        }
    }

    /// Asserts every sum that holds whenever nothing is on its way.
    pub fn assert_conserved(&self) {
        for class in self.classes() {
            assert_eq!(
                number(&class["received"]),
                number(&class["sent"]) + number(&class["queued"]) + sum(&class["drops"]),
                "class received = sent + queued + drops: {class}"
            );
        }
        for pod in self.pods() {
            let streams: u64 = pod["streams"]
                .as_array()
                .unwrap()
                .iter()
                .map(|stream| number(&stream["received"]))
                .sum();
            // Frames beyond the quota, or without a next hop, belong to a stream; what the kernel dropped never was received.
            let drops = &pod["drops"];
            let before_streams: u64 = [
                "unmatched",
                "launch_time_too_far",
                "launch_time_wrong_clock",
            ]
            .iter()
            .map(|cause| number(&drops[*cause]))
            .sum();
            assert_eq!(
                number(&pod["received"]),
                streams + before_streams + number(&pod["to-pods"]),
                "pod received = streams + drops + to other pods: {pod}"
            );
            let held: u64 = pod["streams"]
                .as_array()
                .unwrap()
                .iter()
                .map(|stream| {
                    let gone =
                        ["red", "refused", "dropped", "sent"].map(|what| number(&stream[what]));
                    number(&stream["received"]) - gone.iter().sum::<u64>()
                })
                .sum();
            let of_streams: u64 = ["quota_exceeded", "no_next_hop"]
                .iter()
                .map(|cause| number(&drops[*cause]))
                .sum();
            assert_eq!(
                held,
                number(&pod["waiting"]) + of_streams,
                "streams received = red + refused + dropped + sent + waiting + the pod's drops of them: {pod}"
            );
        }
        let uplink = &self.status["uplink"];
        let sent: u64 = self
            .classes()
            .iter()
            .map(|class| number(&class["sent"]))
            .sum();
        let drops = &uplink["drops"];
        let handed_over = sent + number(&drops["device"]) - sum(drops);
        let taken = number(&uplink["transmit-queued"]) - number(&uplink["lead-probes"]);
        // The frames of one wake-up that were in the device's ring when the link went down count as lost, though they
        // were taken.
        let stuck = if number(&drops["link_down"]) > 0 {
            16
        } else {
            0
        };
        assert!(
            (handed_over..=handed_over + stuck).contains(&taken),
            "what the device took = classes sent - uplink drops before it: {}",
            self.status
        );
        assert_eq!(number(&uplink["copied-bytes"]), 0);
    }

    fn classes(&self) -> &[Value] {
        self.status["classes"].as_array().unwrap()
    }

    fn pods(&self) -> &[Value] {
        self.pods.as_array().unwrap()
    }
}

/// `[begin, end]` of the worker's latest stalls, TAI ns.
pub fn stalls(daemon: &Daemon) -> Vec<(u64, u64)> {
    let stalls = daemon.control.get("/v1/stalls").unwrap();
    stalls["stalls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stall| (number(&stall["begin-ns"]), number(&stall["end-ns"])))
        .collect()
}
