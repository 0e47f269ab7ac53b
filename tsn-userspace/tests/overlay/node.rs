//! A node whose backend has ports without a device, and whose kernel is real.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tsn_cni::record::Directory;
use tsn_port::loopback::{self, LoopbackPort};
use tsn_port::{Backend, Heartbeat, Link, NextHopId, Overlay, PodAttachment, PodMode, Route};
use tsn_userspace::config::Configuration;
use tsn_userspace::node::{Node, NodeError, NodeOptions};

use crate::bed::{inside, net, router};

const PODS: &str = "10.244.2.0/24";

/// What the backend was told, and how many routes it takes.
#[derive(Debug, Default)]
struct Told {
    overlays: Vec<Overlay>,
    most_routes: Option<usize>,
    attached: Vec<PodMode>,
}

struct TestBackend(Arc<Mutex<Told>>);

struct NoKernelPrograms;

impl Heartbeat for NoKernelPrograms {
    fn beat(&self) {}
}

#[derive(Debug, thiserror::Error)]
#[error("the map is full")]
struct MapFull;

impl Backend for TestBackend {
    type Port = LoopbackPort;
    type Error = MapFull;

    fn open_uplink(&mut self, _: &str) -> Result<LoopbackPort, MapFull> {
        Ok(loopback::pair(8).0)
    }

    fn close_uplink(&mut self, _: &str) -> Result<(), MapFull> {
        Ok(())
    }

    fn attach_pod(&mut self, pod: &PodAttachment) -> Result<LoopbackPort, MapFull> {
        self.0.lock().unwrap().attached.push(pod.mode);
        Ok(loopback::pair(8).0)
    }

    fn detach_pod(&mut self, _: &str) -> Result<(), MapFull> {
        Ok(())
    }

    fn is_attached(&self, _: &str) -> bool {
        true
    }

    fn pod_counters(&self, _: &str) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    fn uplink_link(&self, _: &str) -> Link {
        Link::Up {
            speed_mbps: Some(1_000),
        }
    }

    fn uplink_counters(&self, _: &str) -> Vec<(String, u64)> {
        Vec::new()
    }

    fn uplink_facts(&self, _: &str) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn worker_entry(&self) -> Box<dyn FnOnce() + Send> {
        Box::new(|| ())
    }

    fn leftovers(&self) -> Result<Vec<String>, MapFull> {
        Ok(Vec::new())
    }

    fn set_overlay(&mut self, overlay: &Overlay) -> Result<(), MapFull> {
        let mut told = self.0.lock().unwrap();
        if told
            .most_routes
            .is_some_and(|most| overlay.routes.len() > most)
        {
            return Err(MapFull);
        }
        told.overlays.push(overlay.clone());
        Ok(())
    }

    fn divert(&mut self) -> Result<(), MapFull> {
        Ok(())
    }

    fn heartbeat(&self) -> Box<dyn Heartbeat> {
        Box::new(NoKernelPrograms)
    }
}

fn configuration(overlay: &str, mode: &str) -> Configuration {
    let yaml = format!(
        "uplinks: [ {{ device: eth0, link-speed: 1000, lead-probes: 0 }} ]
overlay: {overlay}
pods:
  - name: pod
    netns: /nowhere
    mode: {mode}
    streams: [ {{ name: stream, match: {{ udp-destination-port: 5000 }}, traffic-class: 5 }} ]
"
    );
    Configuration::from_yaml(&yaml).unwrap()
}

fn networks(network: &str) -> String {
    format!("{{ pod-networks: [{network}] }}")
}

async fn start(configuration: Configuration) -> (Node<TestBackend>, Arc<Mutex<Told>>) {
    let told = Arc::new(Mutex::new(Told::default()));
    let options = NodeOptions {
        backend_name: "loopback",
        cpu: None,
        state_file: None,
        records: Directory::at("/nowhere/cni"),
    };
    let backend = TestBackend(Arc::clone(&told));
    let node = Node::start(configuration, backend, options).await.unwrap();
    (node, told)
}

async fn stop(mut node: Node<TestBackend>) {
    node.stop(Duration::ZERO, false).await;
}

/// The next hop that the backend was told last for the other node's pods.
fn next_hop(told: &Mutex<Told>) -> Option<(NextHopId, u16)> {
    let told = told.lock().unwrap();
    let routes = &told.overlays.last().unwrap().routes;
    let (_, route) = routes.iter().find(|(to, _)| *to == net(PODS))?;
    match *route {
        Route::Kernel => None,
        Route::NextHop { id, mtu_bytes } => Some((id, mtu_bytes)),
    }
}

#[test]
fn the_backend_is_told_each_change_and_a_changed_next_hop_has_another_number() {
    let kernel = router();
    inside(&kernel, async || {
        let (mut node, told) = start(configuration(&networks("10.244.0.0/16"), "overlay")).await;
        let (first, mtu_bytes) = next_hop(&told).unwrap();
        assert_eq!(mtu_bytes, 1450);
        assert_eq!(
            told.lock().unwrap().overlays[0],
            Overlay::default(),
            "of an earlier run"
        );
        let status = node.overlay();
        let way = status
            .destinations
            .iter()
            .find(|way| way.destination == PODS)
            .unwrap();
        let shown = way.next_hop.as_ref().unwrap();
        assert_eq!(
            (shown.id, shown.device.as_str()),
            (first.0.get(), "flannel.1")
        );
        assert_eq!(shown.vxlan.as_ref().unwrap().remote, "192.168.0.2");
        assert_eq!(status.tunnels[0].local, "192.168.0.1");

        let told_so_far = told.lock().unwrap().overlays.len();
        node.look_at_overlay().await;
        assert_eq!(
            told.lock().unwrap().overlays.len(),
            told_so_far,
            "nothing has changed"
        );

        let stale = "neigh replace 192.168.0.2 lladdr 02:00:00:00:00:22 dev eth0 nud stale\n";
        kernel.batch("ip", stale).unwrap();
        node.look_at_overlay().await;
        assert_eq!(
            told.lock().unwrap().overlays.len(),
            told_so_far,
            "a neighbour that is verified is the same"
        );

        let moved = "neigh replace 192.168.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud reachable\n";
        kernel.batch("ip", moved).unwrap();
        node.look_at_overlay().await;
        let (second, _) = next_hop(&told).unwrap();
        assert_ne!(first, second);

        kernel.batch("ip", "route del 10.244.2.0/24\n").unwrap();
        node.look_at_overlay().await;
        assert_eq!(next_hop(&told), None);
        node.remove_pod("pod").await.unwrap();
        node.look_at_overlay().await;
        assert_eq!(
            told.lock().unwrap().overlays.last(),
            Some(&Overlay::default())
        );
        stop(node).await;
    });
}

#[test]
fn an_overlay_pod_waits_for_what_flannel_tells_and_others_do_not() {
    let kernel = router();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("subnet.env");
    let overlay = format!("{{ subnet-file: {} }}", file.display());
    inside(&kernel, async || {
        let (mut node, told) = start(configuration(&overlay, "overlay")).await;
        let waits_for = node.pods().await.unwrap().remove(0).waits_for.unwrap();
        assert!(waits_for.contains("overlay.pod-networks"), "{waits_for}");
        assert_eq!(node.overlay().waits_for, Some(waits_for));
        assert_eq!(told.lock().unwrap().attached, []);
        write(&file, "FLANNEL_NETWORK=10.244.0.0/16\n");
        node.housekeeping().await.unwrap();
        assert_eq!(told.lock().unwrap().attached, [PodMode::Overlay]);
        assert_eq!(node.overlay().pod_networks, ["10.244.0.0/16"]);
        assert!(next_hop(&told).is_some());
        stop(node).await;

        std::fs::remove_file(&file).unwrap();
        let (node, told) = start(configuration(&overlay, "l2")).await;
        assert_eq!(told.lock().unwrap().attached, [PodMode::L2]);
        assert_eq!(node.overlay().waits_for, None);
        stop(node).await;
    });
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
}

#[test]
fn what_the_backend_refuses_is_told_and_tried_again() {
    let kernel = router();
    inside(&kernel, async || {
        let (mut node, told) = start(configuration(&networks("10.244.0.0/16"), "overlay")).await;
        told.lock().unwrap().most_routes = Some(1);
        kernel
            .batch("ip", "route add blackhole 10.244.9.0/24\n")
            .unwrap();
        node.look_at_overlay().await;
        assert_eq!(node.overlay().waits_for.as_deref(), Some("the map is full"));
        assert_eq!(
            told.lock().unwrap().overlays.last(),
            Some(&Overlay::default()),
            "the older ways are no longer in force"
        );
        told.lock().unwrap().most_routes = None;
        node.housekeeping().await.unwrap();
        assert_eq!(node.overlay().waits_for, None);
        let newest = told.lock().unwrap().overlays.pop().unwrap();
        assert!(
            newest
                .routes
                .contains(&(net("10.244.9.0/24"), Route::Kernel))
        );
        stop(node).await;
    });
}

#[test]
fn other_settings_need_a_restart() {
    let kernel = router();
    inside(&kernel, async || {
        let (mut node, _) = start(configuration(&networks("10.244.0.0/16"), "overlay")).await;
        let other = configuration(&networks("10.0.0.0/8"), "overlay");
        let refused = node.apply(other, None).await;
        assert!(
            matches!(refused, Err(NodeError::NeedsRestart("overlay"))),
            "{refused:?}"
        );
        stop(node).await;
    });
}
