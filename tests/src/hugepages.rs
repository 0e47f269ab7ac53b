//! Hugepages for the time of a test.

use std::{
    fs::{self, File},
    io::{Read, Seek, Write},
    process,
};

use anyhow::{Context, Result, bail};

/// How many pages of 2 MB the machine has; written, how many it shall have.
const COUNT: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

const PAGE_KIB: u64 = 2048;

/// What runs of the tests have allocated: a line `<pid> <start of the process> <pages>` for each [`Hugepages`]. In a
/// directory that only root writes to, so that it is nobody else's file.
const LEDGER: &str = "/run/tsn-tests-hugepages";

/// Pages of 2 MB that the machine has more of until this is dropped.
#[derive(Debug)]
pub struct Hugepages {
    pages: u64,
}

impl Hugepages {
    /// Has the kernel make so many more. Runs at the same time add up, and pages of a killed run are given back.
    ///
    /// # Errors
    ///
    /// When the caller is not root, the kernel has no hugepages of 2 MB, or not as much unfragmented memory; nothing is
    /// changed then.
    pub fn allocate(pages: u64) -> Result<Self> {
        let mut ledger = Ledger::open()?;
        // The kernel would take the last page from everybody else before it gives up.
        let possible = available_kib()? / PAGE_KIB;
        if pages > possible {
            bail!("{pages} hugepages of 2 MB are wanted, and memory is available for {possible}");
        }
        let before = count()?;
        set_count(before + pages)?;
        let got = count()?.saturating_sub(before);
        if got < pages {
            set_count(before)?;
            bail!("the kernel finds memory for {got} of {pages} hugepages of 2 MB");
        }
        ledger.claims.push(Claim::ours(pages)?);
        ledger.write()?;
        Ok(Self { pages })
    }

    fn free(&self) -> Result<()> {
        let mut ledger = Ledger::open()?;
        let ours = Claim::ours(self.pages)?;
        if let Some(index) = ledger.claims.iter().position(|claim| *claim == ours) {
            ledger.claims.remove(index);
        }
        set_count(count()?.saturating_sub(self.pages))?;
        ledger.write()
    }
}

impl Drop for Hugepages {
    fn drop(&mut self) {
        if let Err(error) = self.free() {
            eprintln!("cannot give {} hugepages back: {error:#}", self.pages);
        }
    }
}

/// Pages of a process. Its id alone may be another's by now.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    pid: u32,
    /// In ticks since the machine's start.
    start: u64,
    pages: u64,
}

impl Claim {
    fn ours(pages: u64) -> Result<Self> {
        let pid = process::id();
        let start = start_of(pid).with_context(|| format!("/proc/{pid}/stat"))?;
        Ok(Self { pid, start, pages })
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self {
            pid: words.next()?.parse().ok()?,
            start: words.next()?.parse().ok()?,
            pages: words.next()?.parse().ok()?,
        })
    }

    fn is_alive(&self) -> bool {
        start_of(self.pid) == Some(self.start)
    }
}

/// When a process started, in ticks since the machine's start, if there is one (proc_pid_stat(5), field 22).
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may have spaces in it and is the second field.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(19)?.parse().ok()
}

/// The file of claims, locked against other runs for as long as it is open.
struct Ledger {
    file: File,
    claims: Vec<Claim>,
}

impl Ledger {
    /// Opens it and gives back what dead runs have claimed.
    fn open() -> Result<Self> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(LEDGER)
            .with_context(|| format!("open {LEDGER}"))?;
        file.lock().with_context(|| format!("lock {LEDGER}"))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let (alive, dead): (Vec<_>, Vec<_>) = text
            .lines()
            .filter_map(Claim::parse)
            .partition(Claim::is_alive);
        let abandoned: u64 = dead.iter().map(|claim| claim.pages).sum();
        let mut ledger = Self {
            file,
            claims: alive,
        };
        if abandoned > 0 {
            set_count(count()?.saturating_sub(abandoned))?;
            ledger.write()?;
        }
        Ok(ledger)
    }

    fn write(&mut self) -> Result<()> {
        let lines: String = self
            .claims
            .iter()
            .map(|Claim { pid, start, pages }| format!("{pid} {start} {pages}\n"))
            .collect();
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(lines.as_bytes())?;
        Ok(())
    }
}

fn count() -> Result<u64> {
    let text = fs::read_to_string(COUNT).with_context(|| format!("read {COUNT}"))?;
    text.trim()
        .parse()
        .with_context(|| format!("{COUNT}: {text:?}"))
}

/// Memory that can be had without swapping, in KiB.
fn available_kib() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let digits = value.and_then(|value| value.split_whitespace().next());
    digits
        .and_then(|digits| digits.parse().ok())
        .context("no MemAvailable in /proc/meminfo")
}

fn set_count(pages: u64) -> Result<()> {
    fs::write(COUNT, pages.to_string()).with_context(|| format!("write {pages} to {COUNT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other runs may come and go meanwhile; while the ledger is open they do not change the count.
    fn count_and_claims() -> (u64, u64) {
        let ledger = Ledger::open().unwrap();
        let claimed = ledger.claims.iter().map(|claim| claim.pages).sum();
        (count().unwrap(), claimed)
    }

    #[test]
    fn pages_are_there_while_they_are_held_and_back_afterwards() {
        let (count_before, claims_before) = count_and_claims();
        let held = Hugepages::allocate(3).unwrap();
        let (count_held, claims_held) = count_and_claims();
        assert_eq!(count_held - claims_held, count_before - claims_before);
        assert!(claims_held >= 3);
        drop(held);
        let (count_after, claims_after) = count_and_claims();
        assert_eq!(count_after - claims_after, count_before - claims_before);
    }

    #[test]
    fn too_many_are_refused_and_nothing_is_kept() {
        let (count_before, claims_before) = count_and_claims();
        let error = Hugepages::allocate(1 << 30).unwrap_err();
        assert!(error.to_string().contains("hugepages"), "{error:#}");
        let (count_after, claims_after) = count_and_claims();
        assert_eq!(count_after - claims_after, count_before - claims_before);
    }

    #[test]
    fn pages_of_a_dead_run_are_given_back() {
        let (count_before, claims_before) = count_and_claims();
        {
            let mut ledger = Ledger::open().unwrap();
            set_count(count().unwrap() + 3).unwrap();
            let gone = Claim {
                pid: 4_194_999, // larger than any that the kernel gives
                start: 1,
                pages: 2,
            };
            let mut whose_pid_is_ours = Claim::ours(1).unwrap();
            whose_pid_is_ours.start -= 1;
            ledger.claims.extend([gone, whose_pid_is_ours]);
            ledger.write().unwrap();
        }
        let (count_after, claims_after) = count_and_claims();
        assert_eq!(count_after - claims_after, count_before - claims_before);
    }
}
