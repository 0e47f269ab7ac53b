//! One capture at a time.

use serde::{Deserialize, Serialize};
use tsn_port::Backend;

use super::{Node, NodeError};
use crate::capture::line::CaptureStart;
use crate::config::{ClassReference, ConfigurationError};
use crate::worker::capture::{CaptureFilter, CaptureReader, CaptureTap};
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
    /// What a request asks for.
    ///
    /// # Errors
    ///
    /// Another capture, a class or pod that does not exist, a length out of range.
    pub fn capture_filter(&self, request: &CaptureRequest) -> Result<CaptureFilter, NodeError> {
        self.refuse_second_capture()?;
        if let Some(pod) = &request.pod
            && !self.pods.contains_key(pod)
        {
            return Err(NodeError::NoPod(pod.clone()));
        }
        if !(1..=MAX_SNAP_LENGTH).contains(&request.snap_length) {
            return Err(wrong(
                "snap-length",
                format!("{} bytes; 1 to {MAX_SNAP_LENGTH}", request.snap_length),
            ));
        }
        Ok(CaptureFilter {
            pod: request.pod.clone(),
            stream: request.stream.clone(),
            classes: match &request.class {
                None => 0xff,
                Some(class) => 1 << self.class_number(class)?,
            },
        })
    }

    /// Copies what leaves from now on until the reader is dropped.
    ///
    /// # Errors
    ///
    /// Another capture, a worker that does not answer.
    pub fn start_capture(
        &mut self,
        tap: CaptureTap,
        reader: &CaptureReader,
    ) -> Result<CaptureStart, NodeError> {
        self.refuse_second_capture()?;
        // There must be room for the tap that the worker gives up for this one: it would free it itself.
        self.worker.free_retired();
        let snap_length = tap.snap_length();
        self.worker.tell(Command::Capture(Some(tap)))?;
        self.capture = reader.alive();
        self.capture_is_on = true;
        Ok(CaptureStart {
            device: self.uplink.device.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            link_speed: self.link_speed_mbps,
            tai_utc_offset_s: self.clock_status.tai_utc_offset_s,
            snap_length,
            class_names: self.class_names.clone(),
        })
    }

    /// Takes the tap back whose reader has gone.
    pub(super) fn end_capture_without_reader(&mut self) {
        if self.capture_is_on && self.capture.strong_count() == 0 {
            self.capture_is_on = self.worker.tell(Command::Capture(None)).is_err();
        }
    }

    fn refuse_second_capture(&self) -> Result<(), NodeError> {
        if self.capture.strong_count() > 0 {
            return Err(NodeError::CaptureRuns);
        }
        Ok(())
    }

    fn class_number(&self, class: &str) -> Result<u8, NodeError> {
        let reference = class.parse().map_or_else(
            |_| ClassReference::Name(class.to_owned()),
            ClassReference::Number,
        );
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
        Ok(class.as_u8())
    }
}

fn wrong(option: &str, reason: String) -> NodeError {
    NodeError::Invalid(ConfigurationError {
        place: option.to_owned(),
        reason,
    })
}
