//! Which metrics and causes have been made to happen.
//!
//! Two suites do that: `tests/tests/metrics.rs` with a real daemon, and `tsn-userspace/tests/metrics.rs` with a real
//! control plane and worker over ports without a device, for what a healthy kernel does not do on demand. Each proves
//! that it has provoked what its list says, and that whatever it saw is on one of the lists. The third list is of what
//! the tests of AF_XDP ports provoke and count one by one.

use std::collections::{BTreeMap, BTreeSet};

/// Labels whose values are known beforehand; each value counts as a thing of its own.
const KINDS: [&str; 3] = ["cause", "what", "state"];

/// Provoked end to end.
pub const END_TO_END: &[&str] = &[
    "process_start_time_seconds",
    "tsnd_build_info",
    "tsnd_class_dropped_frames_total{cause=\"deadline_missed\"}",
    "tsnd_class_dropped_frames_total{cause=\"gate_never_opens\"}",
    "tsnd_class_dropped_frames_total{cause=\"late\"}",
    "tsnd_class_dropped_frames_total{cause=\"launch_time_past\"}",
    "tsnd_class_dropped_frames_total{cause=\"missing_launch_time\"}",
    "tsnd_class_dropped_frames_total{cause=\"never_fits\"}",
    "tsnd_class_dropped_frames_total{cause=\"queue_full\"}",
    "tsnd_class_dropped_frames_total{cause=\"sdu_too_large\"}",
    "tsnd_class_guard_band_holds_total",
    "tsnd_class_guard_band_seconds_total",
    "tsnd_class_info",
    "tsnd_class_queued_frames",
    "tsnd_class_received_bytes_total",
    "tsnd_class_received_frames_total",
    "tsnd_class_sent_bytes_total",
    "tsnd_class_sent_frames_total",
    "tsnd_class_sent_late_frames_total",
    "tsnd_clock_estimated_error_seconds",
    "tsnd_clock_max_error_seconds",
    "tsnd_clock_offset_seconds",
    "tsnd_clock_state{state=\"free-run\"}",
    "tsnd_clock_state{state=\"holdover\"}",
    "tsnd_clock_state{state=\"locked\"}",
    "tsnd_clock_state{state=\"lost\"}",
    "tsnd_clock_steps_total",
    "tsnd_clock_tai_offset_seconds",
    "tsnd_config_change_errors_total",
    "tsnd_config_pending",
    "tsnd_frame_buffers",
    "tsnd_frame_buffers_free",
    "tsnd_launch_error_seconds_bucket",
    "tsnd_launch_error_worst_seconds",
    "tsnd_lead_probe_frames_total",
    "tsnd_lead_seconds",
    "tsnd_pod_attached",
    "tsnd_pod_dropped_frames_total{cause=\"flow_meter_red\"}",
    "tsnd_pod_dropped_frames_total{cause=\"launch_time_too_far\"}",
    "tsnd_pod_dropped_frames_total{cause=\"launch_time_wrong_clock\"}",
    "tsnd_pod_dropped_frames_total{cause=\"quota_exceeded\"}",
    "tsnd_pod_dropped_frames_total{cause=\"receive_no_buffer\"}",
    "tsnd_pod_kernel_frames_total{what=\"delivered\"}",
    "tsnd_pod_kernel_frames_total{what=\"fallback_heartbeat\"}",
    "tsnd_pod_kernel_frames_total{what=\"fallback_no_socket\"}",
    "tsnd_pod_kernel_frames_total{what=\"forged_stamp\"}",
    "tsnd_pod_kernel_frames_total{what=\"local\"}",
    "tsnd_pod_kernel_frames_total{what=\"redirected\"}",
    "tsnd_pod_kernel_frames_total{what=\"stamped\"}",
    "tsnd_pod_queued_frames",
    "tsnd_pod_quota_frames",
    "tsnd_pod_received_frames_total",
    "tsnd_pod_ring_slots",
    "tsnd_sleeps_total",
    "tsnd_stall_longest_seconds",
    "tsnd_stall_seconds_bucket",
    "tsnd_stall_seconds_count",
    "tsnd_stall_seconds_sum",
    "tsnd_stalled_frames_total",
    "tsnd_stream_dropped_frames_total",
    "tsnd_stream_received_frames_total",
    "tsnd_stream_red_frames_total",
    "tsnd_stream_refused_frames_total",
    "tsnd_stream_sent_frames_total",
    "tsnd_stream_sent_late_frames_total",
    "tsnd_stream_stalled_frames_total",
    "tsnd_uplink_dropped_frames_total{cause=\"clock_lost\"}",
    "tsnd_uplink_dropped_frames_total{cause=\"link_down\"}",
    "tsnd_uplink_info",
    "tsnd_uplink_ring_slots",
    "tsnd_uplink_taken_frames_total",
    "tsnd_uplink_transmitted_frames_total",
    "tsnd_uplink_up",
    "tsnd_uplink_wakes_total",
];

/// Provoked over ports without a device.
pub const IN_PROCESS: &[&str] = &[
    // Only told when the daemon ends, so nobody can scrape it from a daemon.
    "tsnd_class_dropped_frames_total{cause=\"flushed\"}",
    "tsnd_class_transmission_overruns_total",
    "tsnd_pod_info",
    // A race between a change of rules and frames on their way.
    "tsnd_pod_dropped_frames_total{cause=\"unmatched\"}",
    // A race between a change of routes and frames on their way.
    "tsnd_pod_dropped_frames_total{cause=\"no_next_hop\"}",
    // An AF_XDP port keeps no more buffers ready than its receive ring has slots.
    "tsnd_pod_dropped_frames_total{cause=\"receive_ring_full\"}",
    // The kernel sends no frame that is shorter than an Ethernet header, or longer than the MTU.
    "tsnd_pod_dropped_frames_total{cause=\"receive_length_errors\"}",
    "tsnd_pod_ring_frames",
    // No uplink of AF_XDP receives, and the kernel delivers to its pods.
    "tsnd_delivery_copied_bytes_total",
    "tsnd_pod_delivered_frames_total",
    "tsnd_pod_delivery_dropped_frames_total{cause=\"device\"}",
    "tsnd_pod_delivery_dropped_frames_total{cause=\"no_buffer\"}",
    "tsnd_pod_delivery_dropped_frames_total{cause=\"pod_ring_full\"}",
    "tsnd_pod_to_pods_frames_total",
    "tsnd_uplink_received_frames_total{what=\"for_group\"}",
    "tsnd_uplink_received_frames_total{what=\"for_pod\"}",
    "tsnd_uplink_received_frames_total{what=\"no_station\"}",
    "tsnd_uplink_received_frames_total{what=\"own\"}",
    "tsnd_uplink_dropped_frames_total{cause=\"device\"}",
    "tsnd_uplink_dropped_frames_total{cause=\"transmit_ring_full\"}",
    // AF_XDP has none.
    "tsnd_uplink_device_statistic",
    "tsnd_uplink_ring_frames",
];

/// Provoked by the tests of AF_XDP ports (`backends/afxdp/tests/overlay.rs`), which give them the routes of
/// another node.
pub const BY_PORTS: &[&str] = &[
    "tsnd_pod_kernel_frames_total{what=\"fallback_no_route\"}",
    "tsnd_pod_kernel_frames_total{what=\"fallback_oversize\"}",
];

/// Gauges that are 0 or 1, and have to be seen as both.
pub const FLIPS: &[&str] = &[
    "tsnd_clock_state{state=\"free-run\"}",
    "tsnd_clock_state{state=\"holdover\"}",
    "tsnd_clock_state{state=\"locked\"}",
    "tsnd_clock_state{state=\"lost\"}",
    "tsnd_config_pending",
    "tsnd_pod_attached",
    "tsnd_uplink_up",
];

/// What some metrics texts have shown: the values of each series, as far as they matter here.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<String, Values>);

#[derive(Debug, Default, Clone, Copy)]
struct Values {
    zero: bool,
    one: bool,
    other: bool,
}

impl Seen {
    /// Looks at another text.
    ///
    /// # Panics
    ///
    /// When a value is no number.
    pub fn look_at(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap_or((line, ""));
            let value = value.parse().unwrap_or(f64::NAN);
            assert!(value.is_finite(), "no number: {line}");
            let values = self.0.entry(series.to_owned()).or_default();
            match value {
                0.0 => values.zero = true,
                1.0 => values.one = true,
                _ => values.other = true,
            }
        }
    }

    /// What of `wanted` has never been other than 0.
    pub fn missing(&self, wanted: &[&str]) -> Vec<String> {
        let provoked = self.keys(|values| values.one || values.other);
        missing(&provoked, wanted)
    }

    /// What of `wanted` has no series that has been both 0 and 1, or has one that has been something else.
    pub fn not_flipped(&self, wanted: &[&str]) -> Vec<String> {
        let strange = self.keys(|values| values.other);
        let flipped = self.keys(|values| values.zero && values.one);
        let flipped = flipped.difference(&strange).cloned().collect();
        missing(&flipped, wanted)
    }

    /// What has been seen, be it 0, and is on neither list.
    pub fn on_no_list(&self) -> Vec<String> {
        let all = self.keys(|_| true);
        all.into_iter().filter(|key| !is_listed(key)).collect()
    }

    fn keys(&self, is_wanted: impl Fn(&Values) -> bool) -> BTreeSet<String> {
        let series = self.0.iter().filter(|(_, values)| is_wanted(values));
        series.map(|(series, _)| key(series)).collect()
    }
}

/// Whether something is on one of the lists.
pub fn is_listed(key: &str) -> bool {
    [END_TO_END, IN_PROCESS, BY_PORTS].concat().contains(&key)
}

fn missing(seen: &BTreeSet<String>, wanted: &[&str]) -> Vec<String> {
    let missing = wanted.iter().filter(|wanted| !seen.contains(**wanted));
    missing.map(|wanted| (*wanted).to_owned()).collect()
}

/// A series without those labels that differ from node to node.
fn key(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',');
    let kind = labels
        .filter_map(|label| label.split_once('='))
        .find(|(label, _)| KINDS.contains(label));
    match kind {
        Some((label, value)) => format!("{name}{{{label}={value}}}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_counts_by_its_name_and_cause() {
        let mut seen = Seen::default();
        seen.look_at(
            "# TYPE a counter\na_total{pod=\"p\",cause=\"late\"} 0\nb{pod=\"p\"} 2.5\n# EOF\n",
        );
        assert_eq!(
            seen.missing(&["b", "a_total{cause=\"late\"}"]),
            ["a_total{cause=\"late\"}"]
        );
        assert_eq!(seen.on_no_list(), ["a_total{cause=\"late\"}", "b"]);
    }

    #[test]
    fn only_one_and_the_same_series_flips() {
        let mut seen = Seen::default();
        seen.look_at("up{pod=\"p\"} 1\nup{pod=\"q\"} 0\nlevel 0\n");
        seen.look_at("up{pod=\"p\"} 1\nup{pod=\"q\"} 0\nlevel 2\n");
        assert_eq!(seen.not_flipped(&["up", "level"]), ["up", "level"]);
        seen.look_at("up{pod=\"p\"} 0\nlevel 1\n");
        assert_eq!(seen.not_flipped(&["up", "level"]), ["level"]);
    }

    #[test]
    #[should_panic(expected = "no number: b NaN")]
    fn what_is_no_number_is_no_value() {
        Seen::default().look_at("b NaN\n");
    }
}
