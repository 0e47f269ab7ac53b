//! The worker as the control plane sees it: commands in, answers out.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;
use tsn_core::ConfigChange;
use tsn_port::Port;

use super::NodeError;
use crate::overlay::encapsulation::NextHops;
use crate::worker::ANSWER_LIMIT;
use crate::worker::command::{Command, GateChange, Retired};
use crate::worker::pod::PodPort;
use crate::worker::sleep::Waker;
use crate::worker::snapshot::Snapshot;

/// The worker's thread and the way to it.
pub struct WorkerHandle<P: Port> {
    pub(super) commands: Sender<Command<P>>,
    pub(super) retired: Receiver<Retired<P>>,
    pub(super) waker: Waker,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl<P: Port> WorkerHandle<P> {
    /// Tells, without waiting for it to be done.
    ///
    /// # Errors
    ///
    /// [`NodeError::WorkerSilent`] when so many commands wait that the worker must hang.
    pub(super) fn tell(&self, command: Command<P>) -> Result<(), NodeError> {
        self.commands
            .try_send(command)
            .map_err(|_| NodeError::WorkerSilent)?;
        self.waker.wake();
        Ok(())
    }

    /// Frees what the worker has given up.
    pub(super) fn free_retired(&self) {
        self.retired.try_iter().for_each(drop);
    }

    async fn ask<T>(
        &self,
        limit: Duration,
        command: impl FnOnce(oneshot::Sender<T>) -> Command<P>,
    ) -> Result<T, NodeError> {
        let (sender, receiver) = oneshot::channel();
        self.tell(command(sender))?;
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(NodeError::WorkerSilent),
        }
    }

    pub(super) async fn snapshot(&self, memory: Box<Snapshot>) -> Result<Box<Snapshot>, NodeError> {
        self.ask(ANSWER_LIMIT, |answer| Command::Snapshot(memory, answer))
            .await
    }

    pub(super) async fn add_pod(&self, pod: PodPort<P>) -> Result<usize, NodeError> {
        Ok(self
            .ask(ANSWER_LIMIT, |answer| {
                Command::AddPod(Box::new(pod), answer)
            })
            .await??)
    }

    pub(super) async fn remove_pod(&self, place: usize) -> Result<(), NodeError> {
        self.ask(ANSWER_LIMIT, |answer| Command::RemovePod(place, answer))
            .await??;
        self.free_retired();
        Ok(())
    }

    /// Has the frames of overlay pods take these next hops, and no others. When this returns without an error, a frame may
    /// be handed over with any of them.
    pub(super) async fn set_next_hops(&self, next_hops: NextHops) -> Result<(), NodeError> {
        self.ask(ANSWER_LIMIT, |answer| {
            Command::SetNextHops(Box::new(next_hops), answer)
        })
        .await?;
        self.free_retired();
        Ok(())
    }

    pub(super) async fn change_gates(
        &self,
        change: GateChange,
    ) -> Result<Option<ConfigChange>, NodeError> {
        self.ask(ANSWER_LIMIT, |answer| Command::ChangeGates(change, answer))
            .await
    }

    /// Lets the worker send what is queued and end. How many frames it had to drop at the limit.
    pub(super) async fn drain(&mut self, limit: Duration) -> Result<u64, NodeError> {
        let dropped = self
            .ask(limit + ANSWER_LIMIT, |answer| Command::Drain(limit, answer))
            .await?;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the worker panicked");
        }
        Ok(dropped)
    }
}
