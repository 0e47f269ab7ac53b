//! What libcni does for a container runtime.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Result, ensure};
use serde_json::{Map, Value, json};

use super::{plugin::Execution, plugins::Plugins};
use crate::namespace::Namespace;

/// A network configuration list; CNI specification, section 1.
#[derive(Debug, Clone)]
pub struct NetworkList {
    /// `name`.
    pub name: String,
    /// `cniVersion`.
    pub version: &'static str,
    /// `plugins`.
    pub plugins: Vec<Value>,
}

impl NetworkList {
    /// A list of plugins.
    pub fn new(name: &str, version: &'static str, plugins: Vec<Value>) -> Self {
        Self {
            name: name.to_owned(),
            version,
            plugins,
        }
    }

    /// As a file in a runtime's directory of networks.
    pub fn to_json(&self) -> Value {
        json!({
            "cniVersion": self.version,
            "name": self.name,
            "plugins": self.plugins,
        })
    }

    fn is_at_least(&self, version: &str) -> bool {
        self.version >= version // each part has one digit
    }
}

/// What a runtime knows of an interface of a container; libcni's `RuntimeConf`.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`; empty without one.
    pub netns: Option<PathBuf>,
    /// `CNI_IFNAME`.
    pub interface: String,
    /// `CNI_ARGS`.
    pub arguments: Vec<(String, String)>,
    /// What plugins get as `runtimeConfig` that declare the capability.
    pub capabilities: Map<String, Value>,
}

impl Attachment {
    /// Of an interface, with what Kubernetes runtimes put into `CNI_ARGS`.
    pub fn new(container_id: &str, netns: &Path, interface: &str) -> Self {
        let arguments = [
            ("IgnoreUnknown", "1"),
            ("K8S_POD_NAMESPACE", "default"),
            ("K8S_POD_NAME", container_id),
            ("K8S_POD_INFRA_CONTAINER_ID", container_id),
            ("K8S_POD_UID", "5f0ec1a4-0000-4000-8000-000000000000"),
        ];
        Self {
            container_id: container_id.to_owned(),
            netns: Some(netns.to_owned()),
            interface: interface.to_owned(),
            arguments: arguments
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            capabilities: Map::new(),
        }
    }

    /// With a value for a capability, such as `portMappings`.
    #[must_use]
    pub fn with(mut self, capability: &str, value: Value) -> Self {
        self.capabilities.insert(capability.to_owned(), value);
        self
    }

    /// With the pod's annotations, as containerd and CRI-O hand them on.
    #[must_use]
    pub fn with_annotations(self, annotations: Value) -> Self {
        self.with("io.kubernetes.cri.pod-annotations", annotations)
    }

    /// As it is known after its namespace has gone.
    #[must_use]
    pub fn without_netns(mut self) -> Self {
        self.netns = None;
        self
    }

    fn environment(&self, command: &str, plugins: &Plugins) -> BTreeMap<&'static str, OsString> {
        let arguments: Vec<_> = self
            .arguments
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let netns = self.netns.clone().unwrap_or_default();
        [
            ("CNI_COMMAND", command.into()),
            ("CNI_CONTAINERID", self.container_id.clone().into()),
            ("CNI_NETNS", netns.into()),
            ("CNI_ARGS", arguments.join(";").into()),
            ("CNI_IFNAME", self.interface.clone().into()),
            ("CNI_PATH", plugins.path()),
        ]
        .into()
    }
}

/// A runtime on a node. It may be used by several threads at once, each with its own attachments.
#[derive(Debug)]
pub struct Runtime<'a> {
    node: &'a Namespace,
    plugins: &'a Plugins,
    /// The last results, which CHECK and DEL get.
    cache: Mutex<BTreeMap<[String; 3], Value>>,
}

impl<'a> Runtime<'a> {
    /// With an empty cache.
    pub fn new(node: &'a Namespace, plugins: &'a Plugins) -> Self {
        Self {
            node,
            plugins,
            cache: Mutex::default(),
        }
    }

    /// ADD, one plugin after the other; the last one's result. A runtime answers a failure with [`delete`](Self::delete).
    ///
    /// # Errors
    ///
    /// That of the first plugin that fails; those after it are not executed.
    pub fn add(&self, list: &NetworkList, attachment: &Attachment) -> Result<Value> {
        let mut result = None;
        for plugin in &list.plugins {
            let execution = self.execution("ADD", list, plugin, attachment, result.as_ref());
            result = Some(execution.run(self.node)?);
        }
        let result = result.unwrap_or_default();
        self.cached().insert(key(list, attachment), result.clone());
        Ok(result)
    }

    /// CHECK, which exists from 0.4.0 on, of all plugins.
    ///
    /// # Errors
    ///
    /// That of the first plugin that fails, and at a version that has no CHECK.
    pub fn check(&self, list: &NetworkList, attachment: &Attachment) -> Result<()> {
        ensure!(
            list.is_at_least("0.4.0"),
            "version {} has no CHECK",
            list.version
        );
        let result = self.cached().get(&key(list, attachment)).cloned();
        for plugin in &list.plugins {
            let execution = self.execution("CHECK", list, plugin, attachment, result.as_ref());
            execution.run(self.node)?;
        }
        Ok(())
    }

    /// DEL, the last plugin first. From 0.4.0 on they get the cached result, if there is one.
    ///
    /// # Errors
    ///
    /// That of the first plugin that fails; those before it in the list are not executed.
    pub fn delete(&self, list: &NetworkList, attachment: &Attachment) -> Result<()> {
        let key = key(list, attachment);
        let result = self.cached().get(&key).cloned();
        let result = result.filter(|_| list.is_at_least("0.4.0"));
        for plugin in list.plugins.iter().rev() {
            let execution = self.execution("DEL", list, plugin, attachment, result.as_ref());
            execution.run(self.node)?;
        }
        self.cached().remove(&key);
        Ok(())
    }

    /// Forgets the result of an attachment, as a runtime does that has lost its cache.
    pub fn forget(&self, list: &NetworkList, attachment: &Attachment) {
        self.cached().remove(&key(list, attachment));
    }

    /// Asks all plugins for their STATUS, which exists from 1.1.0 on.
    ///
    /// # Errors
    ///
    /// That of the first plugin that is not ready.
    pub fn status(&self, list: &NetworkList) -> Result<()> {
        self.of_the_node("STATUS", list, &Map::new())
    }

    /// GC, which exists from 1.1.0 on: tells all plugins which attachments are still valid, in both spellings of it.
    ///
    /// # Errors
    ///
    /// That of the first plugin that fails.
    pub fn collect_garbage(&self, list: &NetworkList, valid: &[&Attachment]) -> Result<()> {
        let valid = valid_attachments(valid);
        let both = ["cni.dev/valid-attachments", "cni.dev/attachments"];
        let both = both.map(|spelling| (spelling.to_owned(), valid.clone()));
        self.of_the_node("GC", list, &both.into_iter().collect())
    }

    /// A command without an attachment, for all plugins of a list, with fields added to their configuration.
    ///
    /// # Errors
    ///
    /// That of the first plugin that fails.
    pub fn of_the_node(
        &self,
        command: &str,
        list: &NetworkList,
        fields: &Map<String, Value>,
    ) -> Result<()> {
        if !list.is_at_least("1.1.0") {
            return Ok(());
        }
        for plugin in &list.plugins {
            let mut configuration = self.configuration(list, plugin);
            configuration.extend(fields.clone());
            let execution = Execution {
                program: self.program(plugin),
                environment: [
                    ("CNI_COMMAND", command.into()),
                    ("CNI_PATH", self.plugins.path()),
                ]
                .into(),
                configuration: configuration.into(),
                search_path: self.plugins.search_path(),
            };
            execution.run(self.node)?;
        }
        Ok(())
    }

    /// How a plugin of a list is executed for an attachment.
    pub fn execution(
        &self,
        command: &str,
        list: &NetworkList,
        plugin: &Value,
        attachment: &Attachment,
        previous: Option<&Value>,
    ) -> Execution {
        let mut configuration = self.configuration(list, plugin);
        if let Some(previous) = previous {
            configuration.insert("prevResult".to_owned(), previous.clone());
        }
        let declared = |name: &str| plugin["capabilities"][name] == true;
        let told = attachment.capabilities.iter();
        let told: Map<_, _> = told
            .filter(|(name, _)| declared(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !told.is_empty() {
            configuration.insert("runtimeConfig".to_owned(), told.into());
        }
        Execution {
            program: self.program(plugin),
            environment: attachment.environment(command, self.plugins),
            configuration: configuration.into(),
            search_path: self.plugins.search_path(),
        }
    }

    fn configuration(&self, list: &NetworkList, plugin: &Value) -> Map<String, Value> {
        let mut configuration = plugin.as_object().cloned().unwrap_or_default();
        configuration.insert("name".to_owned(), json!(list.name));
        configuration.insert("cniVersion".to_owned(), json!(list.version));
        configuration
    }

    fn program(&self, plugin: &Value) -> PathBuf {
        self.plugins
            .find(plugin["type"].as_str().unwrap_or_default())
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, BTreeMap<[String; 3], Value>> {
        self.cache
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// As GC has them.
pub fn valid_attachments(valid: &[&Attachment]) -> Value {
    valid
        .iter()
        .map(|attachment| json!({ "containerID": attachment.container_id, "ifname": attachment.interface }))
        .collect()
}

fn key(list: &NetworkList, attachment: &Attachment) -> [String; 3] {
    [&list.name, &attachment.container_id, &attachment.interface].map(Clone::clone)
}
