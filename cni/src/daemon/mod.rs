//! What the plugin asks of the daemon, over its control socket.

mod http;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use thiserror::Error;

use crate::error::{self, Code};
use crate::record::Key;

use http::Response;

/// How long to wait before an attachment that is not ready yet is looked at again.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The daemon, and how long it may take for all that it is asked.
#[derive(Debug)]
pub(crate) struct Daemon {
    socket: PathBuf,
    deadline: Duration,
    start: Instant,
}

/// Why the daemon did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum DaemonError {
    /// Nobody listens, or not for us.
    #[error("tsnd cannot be reached at {}: {source}; is it running, and does `socket` name its --control?", socket.display())]
    Absent {
        socket: PathBuf,
        source: std::io::Error,
    },
    /// No answer, or not all of it.
    #[error("tsnd did not answer at {} within {} ms (`deadlineMs`)", socket.display(), deadline.as_millis())]
    Silent { socket: PathBuf, deadline: Duration },
    /// The answer was cut off, or is not in the protocol.
    #[error("tsnd gave no proper answer at {}: {reason}", socket.display())]
    Unintelligible { socket: PathBuf, reason: String },
    /// What the record asks for is not allowed, and will not be later.
    #[error("tsnd refuses: {0}")]
    Refused(String),
    /// The record is there, and not where the daemon looks.
    #[error("tsnd does not see the record (`recordDirectory`): {0}")]
    NoRecord(String),
    /// The daemon cannot do it now, or the pod is not ready for it.
    #[error("tsnd waits: {0}")]
    Waits(String),
    /// Anything else.
    #[error("tsnd failed with status {status}: {words}")]
    Failed { status: u16, words: String },
}

impl From<DaemonError> for error::Error {
    fn from(error: DaemonError) -> Self {
        let code = match &error {
            DaemonError::Absent { .. } => Code::DaemonAbsent,
            DaemonError::Silent { .. } => Code::DaemonSilent,
            DaemonError::Refused(_) | DaemonError::NoRecord(_) => Code::InvalidConfiguration,
            DaemonError::Waits(_) => Code::TryAgainLater,
            DaemonError::Unintelligible { .. } | DaemonError::Failed { .. } => Code::DaemonFailed,
        };
        Self::new(code, error.to_string())
    }
}

/// Of the daemon's answer, what the plugin needs.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PodStatus {
    attached: bool,
    waits_for: Option<String>,
}

#[derive(Deserialize)]
struct ApiError {
    error: String,
}

impl Daemon {
    /// At this socket, and the time begins to run.
    pub(crate) fn at(socket: PathBuf, deadline: Duration) -> Self {
        Self {
            socket,
            deadline,
            start: Instant::now(),
        }
    }

    /// Has the record read now and the interface attached.
    ///
    /// # Errors
    ///
    /// Whenever it is not attached at the end.
    pub(crate) fn attach(&self, key: &Key) -> Result<(), DaemonError> {
        match self.attached(self.request("PUT", &path(key))?) {
            Err(DaemonError::Failed { status: 404, words }) => Err(DaemonError::NoRecord(words)),
            outcome => outcome,
        }
    }

    /// As [`attach`](Self::attach), with patience until the deadline for an interface that is not ready yet.
    ///
    /// # Errors
    ///
    /// Whenever it is not attached at the end.
    pub(crate) fn attach_in_time(&self, key: &Key) -> Result<(), DaemonError> {
        self.in_time(key, self.attach(key))
    }

    /// Whether the interface is attached, with patience until the deadline: it may be about to.
    ///
    /// # Errors
    ///
    /// Whenever it is not.
    pub(crate) fn check(&self, key: &Key) -> Result<(), DaemonError> {
        self.in_time(key, self.look(key))
    }

    /// Looks again for as long as the daemon waits for something and there is time.
    fn in_time(&self, key: &Key, first: Result<(), DaemonError>) -> Result<(), DaemonError> {
        let mut outcome = first;
        while matches!(outcome, Err(DaemonError::Waits(_))) && self.remaining() > POLL_INTERVAL {
            thread::sleep(POLL_INTERVAL);
            match self.look(key) {
                // The time is up. What the daemon waited for says more.
                Err(DaemonError::Silent { .. }) => break,
                latest => outcome = latest,
            }
        }
        outcome
    }

    fn look(&self, key: &Key) -> Result<(), DaemonError> {
        let response = self.request("GET", &path(key))?;
        match response.status {
            404 => Err(DaemonError::Waits(
                "it has not read the record yet".to_owned(),
            )),
            _ => self.attached(response),
        }
    }

    /// Has the interface detached, if it is attached.
    ///
    /// # Errors
    ///
    /// Whenever that is not certain at the end.
    pub(crate) fn detach(&self, key: &Key) -> Result<(), DaemonError> {
        match self.request("DELETE", &path(key))? {
            Response { status: 204, .. } => Ok(()),
            response => Err(self.failure(response)),
        }
    }

    /// Asks whether it serves.
    ///
    /// # Errors
    ///
    /// Whenever it does not.
    pub(crate) fn status(&self) -> Result<(), DaemonError> {
        match self.request("GET", "/v1/status")? {
            Response { status: 200, .. } => Ok(()),
            response => Err(self.failure(response)),
        }
    }

    fn attached(&self, response: Response) -> Result<(), DaemonError> {
        if response.status != 200 {
            return Err(self.failure(response));
        }
        match serde_json::from_slice(&response.body) {
            Ok(PodStatus { attached: true, .. }) => Ok(()),
            Ok(PodStatus { waits_for, .. }) => Err(DaemonError::Waits(
                waits_for.unwrap_or_else(|| "it does not say for what".to_owned()),
            )),
            Err(error) => Err(self.unintelligible(error.to_string())),
        }
    }

    fn failure(&self, response: Response) -> DaemonError {
        let words = match serde_json::from_slice(&response.body) {
            Ok(ApiError { error }) => error,
            Err(_) => "it does not say why".to_owned(),
        };
        match response.status {
            400 => DaemonError::Refused(words),
            503 => DaemonError::Waits(words),
            status => DaemonError::Failed { status, words },
        }
    }

    fn unintelligible(&self, reason: String) -> DaemonError {
        DaemonError::Unintelligible {
            socket: self.socket.clone(),
            reason,
        }
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.start.elapsed())
    }

    /// One request and its answer. A thread of its own waits for the daemon, which may hang at each step, also in
    /// `connect` when its queue is full; whatever the thread still waits for ends with the process.
    fn request(&self, method: &'static str, path: &str) -> Result<Response, DaemonError> {
        let (answer, answers) = mpsc::sync_channel(1);
        let (socket, path) = (self.socket.clone(), path.to_owned());
        let thread = thread::Builder::new().spawn(move || {
            let outcome =
                UnixStream::connect(&socket).map(|stream| http::exchange(stream, method, &path));
            // Nobody listens any more after the deadline.
            let _ = answer.send(outcome);
        });
        if let Err(source) = thread {
            return Err(self.absent(source));
        }
        match answers.recv_timeout(self.remaining()) {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(reason))) => Err(self.unintelligible(reason)),
            Ok(Err(source)) => Err(self.absent(source)),
            Err(RecvTimeoutError::Timeout) => Err(DaemonError::Silent {
                socket: self.socket.clone(),
                deadline: self.deadline,
            }),
            Err(RecvTimeoutError::Disconnected) => {
                Err(self.unintelligible("it could not be read".to_owned()))
            }
        }
    }

    fn absent(&self, source: std::io::Error) -> DaemonError {
        DaemonError::Absent {
            socket: self.socket.clone(),
            source,
        }
    }
}

/// Where the API has the attachment of this key.
fn path(key: &Key) -> String {
    let [network, container_id, interface] =
        [&key.network, &key.container_id, &key.interface].map(|part| http::encode(part));
    format!("/v1/attachments/{network}/{container_id}/{interface}")
}
