//! Requests from the follower to the grandmaster, by files in the directory that both guests share.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tsn_tests::wait::{wait_for, wait_until};
use tsn_vm_tests::guest;

/// How long an answer may take, the other guest's boot included.
const ANSWER_BOUND: Duration = Duration::from_secs(120);

/// What the follower may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The Ethernet address of its card.
    Address,
    /// Its CLOCK_REALTIME, in nanoseconds.
    Time,
    /// That it takes its link down.
    LinkDown,
    /// That it brings it up again.
    LinkUp,
    /// That its gPTP falls silent.
    Silence,
    /// That it speaks again.
    Speak,
    /// How many datagrams have arrived at each port of the follower's streams.
    Datagrams,
    /// How many gPTP frames of the follower have arrived.
    GptpFrames,
    /// That it ends.
    End,
}

/// The follower's end. Dropping it lets the grandmaster end too.
pub struct Remote {
    files: Files,
}

impl Remote {
    /// In the shared directory.
    pub fn new() -> Result<Self> {
        Files::new().map(|files| Self { files })
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, request: Request) -> Result<String> {
        let number = self
            .files
            .put("request", &serde_json::to_string(&request)?)?;
        let answer = self.files.path("answer", number);
        let answer = wait_for("the grandmaster's answer", ANSWER_BOUND, || read(&answer))
            .with_context(|| format!("{request:?}"))??;
        match serde_json::from_str(&answer)? {
            Ok(answer) => Ok(answer),
            Err::<_, String>(error) => bail!("the grandmaster: {request:?}: {error}"),
        }
    }

    /// How many datagrams have arrived there at each port.
    pub fn datagrams(&mut self) -> Result<[u64; 3]> {
        Ok(serde_json::from_str(&self.ask(Request::Datagrams)?)?)
    }

    /// Waits until so many more datagrams have arrived at each port, and fails if there are more than that at any.
    pub fn wait_for_datagrams(
        &mut self,
        before: &[u64; 3],
        wanted: [u64; 3],
        bound: Duration,
    ) -> Result<()> {
        let mut arrived = [0; 3];
        let waited = wait_until("the datagrams on the wire", bound, || {
            let now = self.datagrams().unwrap_or(*before);
            arrived = std::array::from_fn(|at| now[at] - before[at]);
            arrived
                .iter()
                .zip(wanted)
                .all(|(arrived, wanted)| *arrived >= wanted)
        });
        waited.with_context(|| format!("{arrived:?} of {wanted:?}"))?;
        if arrived != wanted {
            bail!("{arrived:?} datagrams on the wire, not {wanted:?}");
        }
        Ok(())
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Nobody waits for an answer: the other guest may have failed.
        let request = serde_json::to_string(&Request::End).unwrap_or_default();
        let _ = self.files.put("request", &request);
    }
}

/// The grandmaster's end: answers requests until it is asked to end.
pub fn serve(bound: Duration, mut answer: impl FnMut(Request) -> Result<String>) -> Result<()> {
    let mut files = Files::new()?;
    loop {
        let request = files.path("request", files.next);
        let request = wait_for("the follower's request", bound, || read(&request))??;
        let request = serde_json::from_str(&request)?;
        if request == Request::End {
            return Ok(());
        }
        let answer = answer(request).map_err(|error| format!("{error:#}"));
        files.put("answer", &serde_json::to_string(&answer)?)?;
    }
}

struct Files {
    directory: PathBuf,
    next: u32,
}

impl Files {
    fn new() -> Result<Self> {
        Ok(Self {
            directory: guest::output()?,
            next: 0,
        })
    }

    fn path(&self, what: &str, number: u32) -> PathBuf {
        self.directory.join(format!("{what}-{number}"))
    }

    /// Leaves a file, which is there with all of its text or not at all, and gives its number.
    fn put(&mut self, what: &str, text: &str) -> Result<u32> {
        let number = self.next;
        self.next += 1;
        let half = self.directory.join(format!("{what}-half"));
        fs::write(&half, text).with_context(|| format!("write {}", half.display()))?;
        fs::rename(&half, self.path(what, number))?;
        Ok(number)
    }
}

/// A file's text; nothing while there is no such file.
fn read(path: &Path) -> Option<Result<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read.with_context(|| format!("read {}", path.display()))),
    }
}
