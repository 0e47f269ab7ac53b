//! A client of the Container Runtime Interface that does what a kubelet does for a pod.

use std::path::Path;

use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, ContainerStatusRequest,
    CreateContainerRequest, ImageSpec, LinuxPodSandboxConfig, ListPodSandboxRequest,
    PodSandboxConfig, PodSandboxMetadata, PodSandboxStatusRequest, RemovePodSandboxRequest,
    RunPodSandboxRequest, StartContainerRequest, StopPodSandboxRequest,
    runtime_service_client::RuntimeServiceClient,
};
use tokio::runtime::{Builder, Runtime};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use tsn_tests::{
    containerd::{Containerd, IMAGE},
    wait::wait_for,
};

use crate::common::BOUND;

/// Connected to a containerd.
pub struct Cri {
    runtime: Runtime,
    client: RuntimeServiceClient<Channel>,
}

/// A pod that runs.
pub struct Sandbox {
    /// Its ID, which is also the container ID that CNI plugins get.
    pub id: String,
    /// The address that the network gave it.
    pub address: String,
    config: PodSandboxConfig,
}

impl Cri {
    /// Connects to its socket.
    pub fn connect(containerd: &Containerd) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let uri = format!("unix://{}", containerd.socket().display());
        let channel = Endpoint::from_shared(uri).unwrap();
        let channel = runtime.block_on(channel.connect()).unwrap();
        Self {
            runtime,
            client: RuntimeServiceClient::new(channel),
        }
    }

    /// Makes a pod with its network; an error is what the kubelet would tell.
    pub fn run_sandbox(
        &mut self,
        containerd: &Containerd,
        name: &str,
        annotations: &[(&str, &str)],
    ) -> Result<Sandbox, Status> {
        let annotations = annotations.iter();
        let config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.to_owned(),
                uid: format!("uid-of-{name}"),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            hostname: name.to_owned(),
            log_directory: containerd.logs().join(name).display().to_string(),
            annotations: annotations
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: containerd.cgroup_parent(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = RunPodSandboxRequest {
            config: Some(config.clone()),
            ..Default::default()
        };
        let answer = self
            .runtime
            .block_on(self.client.run_pod_sandbox(request))?;
        let id = answer.into_inner().pod_sandbox_id;
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: id.clone(),
            verbose: false,
        };
        let answer = self
            .runtime
            .block_on(self.client.pod_sandbox_status(request))?;
        let status = answer.into_inner().status.unwrap();
        Ok(Sandbox {
            id,
            address: status.network.unwrap().ip,
            config,
        })
    }

    /// Runs a program of the image in a pod to its end and gives what it wrote, after asserting that it ended well.
    pub fn run(&mut self, sandbox: &Sandbox, name: &str, command: &[&str]) -> String {
        let log = format!("{name}.log");
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: name.to_owned(),
                attempt: 0,
            }),
            image: Some(ImageSpec {
                image: IMAGE.to_owned(),
                ..Default::default()
            }),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            log_path: log.clone(),
            ..Default::default()
        };
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.id.clone(),
            config: Some(config),
            sandbox_config: Some(sandbox.config.clone()),
        };
        let created = self
            .runtime
            .block_on(self.client.create_container(request))
            .unwrap();
        let container_id = created.into_inner().container_id;
        let request = StartContainerRequest {
            container_id: container_id.clone(),
        };
        self.runtime
            .block_on(self.client.start_container(request))
            .unwrap();
        let status = wait_for(&format!("the end of {command:?}"), BOUND, || {
            let status = self.container_status(&container_id);
            (status.state() == ContainerState::ContainerExited).then_some(status)
        })
        .unwrap();
        let log = Path::new(&sandbox.config.log_directory).join(log);
        let log = std::fs::read_to_string(log).unwrap_or_default();
        assert_eq!(status.exit_code, 0, "{command:?}: {log}");
        log
    }

    /// Stops a pod, twice as a kubelet may, and removes it.
    pub fn remove(&mut self, sandbox: &Sandbox) {
        for _ in 0..2 {
            let pod_sandbox_id = sandbox.id.clone();
            let request = StopPodSandboxRequest { pod_sandbox_id };
            let stopped = self.client.stop_pod_sandbox(request);
            self.runtime.block_on(stopped).unwrap();
        }
        let pod_sandbox_id = sandbox.id.clone();
        let request = RemovePodSandboxRequest { pod_sandbox_id };
        let removed = self.client.remove_pod_sandbox(request);
        self.runtime.block_on(removed).unwrap();
    }

    /// IDs of all pods that it knows.
    pub fn sandboxes(&mut self) -> Vec<String> {
        let answer = self.runtime.block_on(
            self.client
                .list_pod_sandbox(ListPodSandboxRequest::default()),
        );
        answer
            .unwrap()
            .into_inner()
            .items
            .into_iter()
            .map(|pod| pod.id)
            .collect()
    }

    fn container_status(&mut self, container_id: &str) -> ContainerStatus {
        let request = ContainerStatusRequest {
            container_id: container_id.to_owned(),
            verbose: false,
        };
        let answer = self.runtime.block_on(self.client.container_status(request));
        answer.unwrap().into_inner().status.unwrap()
    }
}
