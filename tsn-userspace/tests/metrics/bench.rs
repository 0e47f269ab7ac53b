//! A node whose uplink and pod are ports without a device.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::Method;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Mutex;
use tsn_cni::record::Directory;
use tsn_port::fault::{FaultPort, Faults};
use tsn_port::loopback::{self, LoopbackFrame, LoopbackPort};
use tsn_port::{Backend, Heartbeat, Link, Overlay, PodAttachment, PodEnd, Port, Stamp};
use tsn_tests::coverage::Seen;
use tsn_userspace::config::Configuration;
use tsn_userspace::control::server::router;
use tsn_userspace::control::{client, metrics_server};
use tsn_userspace::metrics::{Moment, encode};
use tsn_userspace::node::{Node, NodeError, NodeOptions};

/// Slots of each ring.
const SLOTS: usize = 64;
/// Bound of every wait.
pub const BOUND: Duration = Duration::from_secs(20);

/// One class, one pod, one stream of EtherType 0x88b6; each gate is open half of the time.
pub const CONFIGURATION: &str = "
uplinks:
  - device: loopback
    link-speed: 1000
    lead-probes: 0
    traffic-classes: [ { number: 5, name: video } ]
    gate-parameters:
      admin-control-list:
        - { gate-states-value: [5], time-interval-value: 1ms }
        - { gate-states-value: [0], time-interval-value: 1ms }
pods:
  - name: pod
    netns: /nowhere
    streams: [ { name: stream, match: { ethertype: 0x88b6 }, traffic-class: 5 } ]
";

/// A port without a device.
pub type TestPort = FaultPort<LoopbackPort, fn(&LoopbackFrame) -> Option<LoopbackFrame>>;

/// What the uplink's device tells of itself.
#[derive(Debug)]
pub struct Device {
    /// Its link.
    pub link: Link,
    /// What it counts.
    pub counters: Vec<(String, u64)>,
    /// The name of the thread that entered as the worker's.
    pub entered_by: Option<String>,
    /// Names of pods that an earlier run left attached.
    pub leftovers: Vec<String>,
}

/// The ports of pods that are not attached, by the pods' names.
pub type PodPorts = Arc<StdMutex<HashMap<String, TestPort>>>;

/// One uplink, and pods.
struct TestBackend {
    uplink: Option<TestPort>,
    pods: PodPorts,
    device: Arc<StdMutex<Device>>,
}

struct NoKernelPrograms;

impl Heartbeat for NoKernelPrograms {
    fn beat(&self) {}
}

#[derive(Debug, thiserror::Error)]
#[error("there is no such device")]
struct NoDevice;

impl Backend for TestBackend {
    type Port = TestPort;
    type Error = NoDevice;

    fn open_uplink(&mut self, _: &str) -> Result<TestPort, NoDevice> {
        self.uplink.take().ok_or(NoDevice)
    }

    fn close_uplink(&mut self, _: &str) -> Result<(), NoDevice> {
        Ok(())
    }

    fn attach_pod(&mut self, pod: &PodAttachment) -> Result<TestPort, NoDevice> {
        self.pods.lock().unwrap().remove(&pod.name).ok_or(NoDevice)
    }

    fn detach_pod(&mut self, name: &str) -> Result<(), NoDevice> {
        let mut device = self.device.lock().unwrap();
        device.leftovers.retain(|left| left != name);
        Ok(())
    }

    fn is_attached(&self, name: &str) -> bool {
        !self.pods.lock().unwrap().contains_key(name)
    }

    fn pod_counters(&self, _: &str) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    fn uplink_link(&self, _: &str) -> Link {
        self.device.lock().unwrap().link
    }

    fn uplink_counters(&self, _: &str) -> Vec<(String, u64)> {
        self.device.lock().unwrap().counters.clone()
    }

    fn uplink_facts(&self, _: &str) -> Vec<(&'static str, String)> {
        vec![("driver", "none".to_owned())]
    }

    fn worker_entry(&self) -> Box<dyn FnOnce() + Send> {
        let device = Arc::clone(&self.device);
        Box::new(move || {
            let name = std::thread::current().name().map(str::to_owned);
            device.lock().unwrap().entered_by = name;
        })
    }

    fn leftovers(&self) -> Result<Vec<String>, NoDevice> {
        Ok(self.device.lock().unwrap().leftovers.clone())
    }

    fn set_overlay(&mut self, _: &Overlay) -> Result<(), NoDevice> {
        Ok(())
    }

    fn divert(&mut self) -> Result<(), NoDevice> {
        Ok(())
    }

    fn heartbeat(&self) -> Box<dyn Heartbeat> {
        Box::new(NoKernelPrograms)
    }
}

/// A node with its worker, the pods' ends and the wire's end.
pub struct Bench {
    runtime: tokio::runtime::Runtime,
    node: Arc<Mutex<Node<TestBackend>>>,
    /// In the order of the configuration.
    pub pods: Vec<LoopbackPort>,
    /// What the uplink is connected to.
    pub wire: LoopbackPort,
    /// Those of pods that are not attached.
    pub ports: PodPorts,
    device: Arc<StdMutex<Device>>,
    _empty: tempfile::TempDir,
}

/// What a node without traffic has to start with.
#[derive(Debug, Default)]
pub struct Before {
    /// Names of pods that can be attached.
    pub devices: Vec<String>,
    /// Names of pods that an earlier run left attached.
    pub leftovers: Vec<String>,
    /// Where the records are; none by default.
    pub records: Option<Directory>,
}

impl Bench {
    /// With an uplink that does so much wrong.
    pub fn start(configuration: &str, uplink: Faults) -> Self {
        Self::start_with(configuration, uplink, Faults::default())
    }

    /// And with pods that do.
    pub fn start_with(configuration: &str, uplink: Faults, pods: Faults) -> Self {
        Self::start_after(configuration, uplink, pods, Before::default())
    }

    /// And after what was before.
    pub fn start_after(configuration: &str, uplink: Faults, pods: Faults, before: Before) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (uplink_port, wire) = loopback::pair(SLOTS);
        let port =
            |inner, faults| -> TestPort { FaultPort::new(inner, faults, LoopbackFrame::duplicate) };
        let device = Arc::new(StdMutex::new(Device {
            link: Link::Up {
                speed_mbps: Some(1_000),
            },
            counters: Vec::new(),
            entered_by: None,
            leftovers: before.leftovers,
        }));
        let configuration = Configuration::from_yaml(configuration).unwrap();
        let ports = PodPorts::default();
        let backend = TestBackend {
            uplink: Some(port(uplink_port, uplink)),
            pods: Arc::clone(&ports),
            device: Arc::clone(&device),
        };
        for name in before.devices {
            ports.lock().unwrap().insert(name, unconnected());
        }
        let empty = tempfile::tempdir().unwrap();
        let records = before
            .records
            .unwrap_or_else(|| Directory::at(empty.path().join("cni")));
        let mut far_ends = Vec::new();
        for pod in &configuration.pods {
            let (inner, far_end) = loopback::pair(SLOTS);
            let inner = match pod.end() {
                Some(PodEnd::VhostUser(end)) => inner.with_station(end.address),
                _ => inner,
            };
            let inner = port(inner, pods);
            ports.lock().unwrap().insert(pod.name.clone(), inner);
            far_ends.push(far_end);
        }
        let options = NodeOptions {
            backend_name: "loopback",
            cpu: None,
            state_file: None,
            records,
        };
        let node = runtime
            .block_on(Node::start(configuration, backend, options))
            .unwrap();
        Self {
            runtime,
            node: Arc::new(Mutex::new(node)),
            pods: far_ends,
            wire,
            ports,
            device,
            _empty: empty,
        }
    }

    /// The uplink's device.
    pub fn device(&self) -> std::sync::MutexGuard<'_, Device> {
        self.device.lock().unwrap()
    }

    /// What the daemon does once a second.
    pub fn housekeeping(&mut self) -> Result<(), NodeError> {
        self.ask(async |node| node.housekeeping().await)
    }

    fn ask<T>(&mut self, request: impl AsyncFnOnce(&mut Node<TestBackend>) -> T) -> T {
        let node = Arc::clone(&self.node);
        self.runtime
            .block_on(async { request(&mut *node.lock().await).await })
    }

    /// Sends a request to the control socket, and tells what comes back: an empty text for an answer without a body.
    pub fn request(&mut self, method: Method, path: &str, body: &str) -> Result<String, String> {
        let node = Arc::clone(&self.node);
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        self.runtime.block_on(async {
            let listener = UnixListener::bind(&socket).unwrap();
            let server = tokio::spawn(axum::serve(listener, router(node)).into_future());
            let answer = client::open(&socket, method, path, body.to_owned().into_bytes()).await;
            let answer = match answer {
                Ok(answer) => Ok(answer.collect().await.unwrap().to_bytes()),
                Err(error) => Err(error.to_string()),
            };
            server.abort();
            answer.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        })
    }

    /// What the daemon would tell now.
    pub fn moment(&mut self) -> Moment {
        self.ask(async |node| node.moment().await).unwrap()
    }

    /// Serves `/metrics` at a port of the loopback device while `clients` runs, in another thread.
    pub fn while_serving<T: Send + 'static>(
        &mut self,
        clients: impl FnOnce(SocketAddr) -> T + Send + 'static,
    ) -> T {
        let node = Arc::clone(&self.node);
        self.runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(metrics_server::serve(listener, node));
            let told = tokio::task::spawn_blocking(move || clients(address)).await;
            server.abort();
            told.unwrap()
        })
    }

    /// The pod sends bursts of minimum frames of an EtherType until the metrics have shown all of `wanted`.
    pub fn send_until(&mut self, ethertype: u16, wanted: &[&str], seen: &mut Seen) {
        let start = Instant::now();
        loop {
            for _ in 0..4 {
                self.send_burst(ethertype);
            }
            let text = encode(&self.moment());
            seen.look_at(&text);
            let missing = seen.missing(wanted);
            if missing.is_empty() {
                return;
            }
            assert!(
                start.elapsed() < BOUND,
                "never seen: {missing:?} in\n{text}"
            );
        }
    }

    fn send_burst(&mut self, ethertype: u16) {
        let mut bytes = [0; 60];
        bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
        // A peer on a vhost-user socket can send less than an Ethernet header.
        if let Some(short) = self.pods[0].frame(&bytes[..10], Stamp::NONE) {
            let _ = self.pods[0].transmit(short);
        }
        while let Some(frame) = self.pods[0].frame(&bytes, Stamp::NONE) {
            if self.pods[0].transmit(frame).is_err() {
                break;
            }
        }
        let result: Result<(), Infallible> = self.pods[0].wake();
        result.unwrap();
        while self.wire.receive().is_some() {}
    }
}

/// A port that nothing is connected to.
pub fn unconnected() -> TestPort {
    let (inner, _) = loopback::pair(SLOTS);
    FaultPort::new(inner, Faults::default(), LoopbackFrame::duplicate)
}

impl Drop for Bench {
    fn drop(&mut self) {
        let node = Arc::clone(&self.node);
        self.runtime
            .block_on(async { node.lock().await.stop(Duration::ZERO, false).await });
    }
}
