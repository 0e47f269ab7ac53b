//! DPDK's log, brought to `tracing`.

use std::cell::RefCell;
use std::io;

use dpdk_sys as sys;

thread_local! {
    /// The errors of an operation that this thread is in ([`collect`]).
    static COLLECTED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Sends everything that DPDK logs to `tracing`. To be called before the EAL is initialised.
pub(crate) fn redirect() -> io::Result<()> {
    // SAFETY: the function fits the declaration and lives for ever.
    if unsafe { sys::shim_log_to(Some(write)) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Runs an operation, and gives beside its result the errors that DPDK logged in this thread meanwhile. Those are not
/// logged: they are part of the error that the caller makes of them, or of no importance.
pub(crate) fn collect<R>(operation: impl FnOnce() -> R) -> (R, Vec<String>) {
    COLLECTED.set(Some(Vec::new()));
    let result = operation();
    (result, COLLECTED.take().unwrap_or_default())
}

/// Logs the errors of an operation that did not fail.
pub(crate) fn tell_all(complaints: &[String]) {
    for line in complaints {
        tracing::warn!(target: "dpdk", "{line}");
    }
}

/// Takes one message of DPDK.
unsafe extern "C" fn write(text: *const libc::c_char, length: usize) {
    // SAFETY: the stream gives that many bytes, which live until we return.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    let text = String::from_utf8_lossy(bytes);
    // SAFETY: reads a variable of the calling thread, which is just logging.
    let level = unsafe { sys::rte_log_cur_msg_loglevel() };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        tell(u32::try_from(level).unwrap_or(0), line.trim());
    }
}

fn tell(level: u32, line: &str) {
    if level > sys::SHIM_LOG_WARNING {
        tracing::debug!(target: "dpdk", "{line}");
    } else if level == sys::SHIM_LOG_WARNING {
        tracing::info!(target: "dpdk", "{line}");
    } else {
        let collecting = COLLECTED.with_borrow_mut(|collected| {
            collected.as_mut().map(|lines| lines.push(line.to_owned()))
        });
        if collecting.is_none() {
            tracing::warn!(target: "dpdk", "{line}");
        }
    }
}
