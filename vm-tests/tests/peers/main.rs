//! `tsnd` over AF_XDP beside the kernel's software queueing disciplines, in one guest in virtual time: the same schedule,
//! the same talker, the same instrument at the wire's far end. `tsnd` must leave no frame outside its gates, lose none, and
//! be nearer to launch times than taprio and ETF.

mod bed;
mod cases;
mod measure;
mod run;
mod schedule;
mod subject;

use std::fs;

use serde::Serialize;
use tsn_vm_tests::{
    guest,
    report::peers::{FILE, Measured, Row},
};

use bed::Bed;
use cases::Case;
use run::{Settings, measure, path};
use subject::Subject;

/// With this ETF already loses single frames whose time is over when it comes to send them; more would only be farther
/// from the launch time.
const ETF_DELTA_NS: u64 = 20_000;

/// What must be the same in each run, of `tsnd` in one case. The host answers the guest's requests for files at moments
/// of its own, and so the last digits of all figures differ; those are in the other file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Verdict {
    case: String,
    outside_its_gates: usize,
    lost: u64,
    /// Arrival less launch time, median, in whole µs.
    launch_error_us: i64,
    /// Peers that are farther from the launch time by median and by p99.
    nearer_than: Vec<String>,
}

#[test]
fn in_all_cases() {
    compare(&Case::ALL, &Subject::ALL, 100);
}

#[test]
fn in_brief() {
    compare(
        &[Case::Rest, Case::MidCycle],
        &[Subject::Tsnd, Subject::Taprio, Subject::Etf],
        50,
    );
}

fn compare(cases: &[Case], subjects: &[Subject], frames: u64) {
    // The worker may keep its processor, as the documentation advises.
    fs::write("/proc/sys/kernel/sched_rt_runtime_us", "-1").unwrap();
    let path = path(&Bed::new().unwrap()).unwrap();
    println!("bare spin loop: {path:?}");
    let path_ns = path.p50_ns.unsigned_abs();
    let settings = Settings {
        frames,
        path_ns,
        etf_delta_ns: ETF_DELTA_NS,
    };
    let mut rows = Vec::new();
    for subject in subjects {
        let bed = Bed::new().unwrap();
        let mut running = subject.start(&bed).unwrap();
        for case in cases {
            let row = measure(&bed, &mut running, *subject, *case, settings).unwrap();
            println!("{}", serde_json::to_string(&row).unwrap());
            if *subject == Subject::Tsnd && row.sent != row.arrived {
                println!("{}", running.account().unwrap());
            }
            rows.push(row);
        }
        running.finish().unwrap();
    }
    let place = |row: &Row| cases.iter().position(|case| case.name() == row.case);
    rows.sort_by_key(place);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap()
        .trim()
        .to_owned();
    let measured = Measured {
        release,
        path_ns,
        etf_delta_ns: ETF_DELTA_NS,
        rows,
    };
    let text = serde_json::to_string_pretty(&measured).unwrap();
    fs::write(guest::output().unwrap().join(FILE), text).unwrap();
    let cases = measured.rows.chunk_by(|one, next| one.case == next.case);
    let verdicts: Vec<Verdict> = cases.map(judge).collect();
    guest::write_figures(&verdicts).unwrap();
}

/// What is required of `tsnd` in a case, beside its peers.
fn judge(rows: &[Row]) -> Verdict {
    let own = rows
        .iter()
        .find(|row| row.subject == Subject::Tsnd.name())
        .unwrap();
    assert_eq!(own.outside.frames, 0, "{own:?}");
    assert!(own.outside.of > 0, "{own:?}");
    assert_eq!(own.sent, own.arrived, "{own:?}");
    assert_eq!(own.refused, None);
    let deviation = own.deviation.unwrap();
    // In virtual time the absolute figure holds too: the way back from the wake-up, which the lead cannot know.
    assert!(deviation.p50_ns < 5_000, "{own:?}");
    let mut nearer_than = Vec::new();
    for row in rows {
        let name = |subject: Subject| row.subject == subject.name();
        if !(name(Subject::Taprio) || name(Subject::TaprioEtf) || name(Subject::Etf)) {
            continue;
        }
        // One that sent nothing in time has no deviation to compare.
        let Some(theirs) = row.deviation else {
            continue;
        };
        assert!(deviation.p50_ns < theirs.p50_ns, "{own:?}\n{row:?}");
        assert!(deviation.p99_ns < theirs.p99_ns, "{own:?}\n{row:?}");
        nearer_than.push(row.subject.clone());
    }
    Verdict {
        case: own.case.clone(),
        outside_its_gates: own.outside.frames,
        lost: own.sent - own.arrived,
        launch_error_us: (own.launch.unwrap().p50_ns + 500).div_euclid(1_000),
        nearer_than,
    }
}
