//! CLOCK_TAI, and who steers it.

use super::device::Uplink;
use super::{Code, Findings, Machine, clock_programs};

/// Beyond this, in microseconds, the bound on the clock's error is worth a warning.
const MAX_ERROR_US: i64 = 1_000;

pub(super) fn examine(machine: &Machine, uplink: Option<&Uplink>, findings: &mut Findings) {
    kernel_clock(machine, findings);
    programs(machine, findings);
    hardware_clock(uplink, findings);
}

fn kernel_clock(machine: &Machine, findings: &mut Findings) {
    let clock = machine.kernel.clock();
    let offset = clock.tai_utc_offset_s;
    if offset == 0 {
        findings.bad(
            Code::TaiOffsetUnknown,
            "TAI - UTC is 0 s in the kernel: CLOCK_TAI equals UTC",
            "launch times and gates are 37 s (37000000 us) off against nodes that know better",
            "let ptp4l and phc2sys set it, or chrony (`leapsectz right/UTC` in chrony.conf)",
        );
    } else {
        findings.fine(Code::TaiOffsetUnknown, format!("TAI - UTC is {offset} s"));
    }
    if !clock.synchronised {
        findings.bad(
            Code::ClockUnsynchronised,
            "the kernel's clock is unsynchronised (STA_UNSYNC)",
            "the gates of this node drift against those of all others",
            "run ptp4l and phc2sys, or chronyd; `on-sync-loss` in the configuration says what tsnd does meanwhile",
        );
        return;
    }
    findings.fine(
        Code::ClockUnsynchronised,
        "the kernel's clock is synchronised",
    );
    let error = clock.max_error_us;
    if error > MAX_ERROR_US {
        findings.bad(
            Code::ClockError,
            format!("the clock's error is at most {error} us"),
            format!(
                "gates and launch times of this node may be {error} us off against other nodes"
            ),
            "use PTP with hardware time stamps (ptp4l, phc2sys), or a nearer time server",
        );
    } else {
        findings.fine(
            Code::ClockError,
            format!("the clock's error is at most {error} us"),
        );
    }
}

fn programs(machine: &Machine, findings: &mut Findings) {
    let programs = clock_programs::running(machine);
    let mut steering: Vec<&str> = programs
        .iter()
        .filter(|program| program.steers_system_clock)
        .map(|program| &*program.name)
        .collect();
    steering.sort_unstable();
    steering.dedup();
    let ptp4l = programs.iter().any(|program| program.name == "ptp4l");
    match steering[..] {
        [] if ptp4l => findings.bad(
            Code::ClockNotCarried,
            "ptp4l runs, and nothing that steers the system clock",
            "with hardware time stamps ptp4l steers the device's clock, and CLOCK_TAI does not follow it",
            "run phc2sys -a -r beside it, or chronyd with a `refclock PHC`",
        ),
        [] => findings.bad(
            Code::NoClockProgram,
            "none of ptp4l, phc2sys, chronyd, ntpd, systemd-timesyncd steers the system clock here",
            "unless something outside of this PID namespace steers the clock, it drifts",
            "run ptp4l and phc2sys, or chronyd",
        ),
        [only] => findings.fine(Code::NoClockProgram, format!("{only} steers the clock")),
        _ => findings.bad(
            Code::TwoClockPrograms,
            format!("{} steer the system clock at once", steering.join(" and ")),
            "each undoes what the other does, so the clock swings between them",
            "let one of them steer it: chronyd -x does not, phc2sys does not with another clock after -c or with -E ntpshm, \
             and systemctl disable --now systemd-timesyncd ends that",
        ),
    }
}

fn hardware_clock(uplink: Option<&Uplink>, findings: &mut Findings) {
    let Some((name, clock)) =
        uplink.and_then(|uplink| Some((&uplink.link.name, uplink.ethtool.hardware_clock?)))
    else {
        return;
    };
    match clock {
        Some(number) => findings.fine(Code::NoHardwareClock, format!("{name} has /dev/ptp{number}")),
        None => findings.bad(
            Code::NoHardwareClock,
            format!("{name} has no PTP hardware clock"),
            "ptp4l can only stamp in software, with the delays of interrupts and of the scheduler in every value",
            "use a device that `ethtool -T` shows a PTP hardware clock of",
        ),
    }
}
