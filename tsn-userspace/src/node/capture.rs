//! One capture at a time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tsn_port::Backend;

use super::{Node, NodeError};
use crate::capture::line::CaptureStart;
use crate::config::{ClassReference, ConfigurationError};
use crate::worker::capture::{CaptureFilter, CaptureReader, capture};
use crate::worker::command::Command;

/// The longest frame that any buffer holds.
const MAX_SNAP_LENGTH: usize = 4_096;

/// Query of `GET /v1/capture`: which frames, and how much of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CaptureRequest {
    /// Only of this pod.
    pub pod: Option<String>,
    /// Only of streams with this name.
    pub stream: Option<String>,
    /// Only of this class, by number or name.
    pub class: Option<String>,
    /// Bytes of each frame, 1 to 4096; 128 by default.
    #[serde(default = "snap_length")]
    pub snap_length: usize,
}

const fn snap_length() -> usize {
    128
}

impl<B: Backend> Node<B> {
    /// Copies what leaves from now on until the reader is dropped.
    ///
    /// # Errors
    ///
    /// Another capture, a class or pod that does not exist, a worker that does not answer.
    pub fn start_capture(
        &mut self,
        request: CaptureRequest,
    ) -> Result<(Arc<CaptureReader>, CaptureStart), NodeError> {
        if self.capture.strong_count() > 0 {
            return Err(NodeError::CaptureRuns);
        }
        if let Some(pod) = request
            .pod
            .as_ref()
            .filter(|pod| !self.pods.contains_key(*pod))
        {
            return Err(NodeError::NoPod(pod.clone()));
        }
        if !(1..=MAX_SNAP_LENGTH).contains(&request.snap_length) {
            return Err(wrong(
                "snap-length",
                format!("{} bytes; 1 to {MAX_SNAP_LENGTH}", request.snap_length),
            ));
        }
        let classes = match request.class {
            None => 0xff,
            Some(class) => {
                let reference = class
                    .parse()
                    .map_or(ClassReference::Name(class), ClassReference::Number);
                let class = reference.resolve(&self.class_names).ok_or_else(|| {
                    let known: Vec<&str> = self
                        .class_names
                        .iter()
                        .flatten()
                        .map(String::as_str)
                        .collect();
                    wrong(
                        "class",
                        format!(
                            "there is no traffic class `{reference}`; 0 to 7, or one of [{}]",
                            known.join(", ")
                        ),
                    )
                })?;
                1 << class.as_u8()
            }
        };
        let filter = CaptureFilter {
            pod: request.pod,
            stream: request.stream,
            classes,
        };
        let (tap, reader) = capture(filter, request.snap_length);
        self.worker.tell(Command::Capture(Some(tap)))?;
        let reader = Arc::new(reader);
        self.capture = Arc::downgrade(&reader);
        self.capture_is_on = true;
        let start = CaptureStart {
            device: self.uplink.device.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            link_speed: self.link_speed_mbps,
            tai_utc_offset_s: self.clock_status.tai_utc_offset_s,
            snap_length: request.snap_length,
            class_names: self.class_names.clone(),
        };
        Ok((reader, start))
    }

    /// Takes the tap back whose reader has gone.
    pub(super) fn end_capture_without_reader(&mut self) {
        if self.capture_is_on && self.capture.strong_count() == 0 {
            self.capture_is_on = self.worker.tell(Command::Capture(None)).is_err();
        }
    }
}

fn wrong(option: &str, reason: String) -> NodeError {
    NodeError::Invalid(ConfigurationError {
        place: option.to_owned(),
        reason,
    })
}
