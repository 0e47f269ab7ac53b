//! The bare spin loop: what the machine can do at best.

use std::time::Duration;

use tsn_core::Nanoseconds;
use tsn_userspace::clock::tai_now;
use tsn_userspace::worker::stall::Stall;

use crate::turn::{Departure, PERIOD, SPIN_BEFORE, STALL_THRESHOLD, Turn, first_launch};

/// Spins up to each instant and reads the clock once more, as a port does when it is woken.
pub fn measure(length: Duration, settle: impl FnOnce() + Send) -> Turn {
    let count = length.as_nanos() as u64 / PERIOD.as_nanos();
    std::thread::scope(|scope| {
        let spinning = scope.spawn(|| {
            settle();
            let mut turn = Turn::default();
            let first = first_launch();
            for number in 0..count {
                let due = first + Nanoseconds::from_nanos(number * PERIOD.as_nanos());
                let early = (due - SPIN_BEFORE)
                    .as_nanos()
                    .saturating_sub(tai_now().as_nanos());
                std::thread::sleep(Duration::from_nanos(early));
                let mut seen = due - SPIN_BEFORE;
                loop {
                    let now = tai_now();
                    if now - seen > STALL_THRESHOLD && now > due - STALL_THRESHOLD {
                        turn.stalls.push(Stall {
                            begin_ns: seen.as_nanos(),
                            end_ns: now.as_nanos(),
                            frames: 1,
                        });
                    }
                    seen = now;
                    if now >= due {
                        break;
                    }
                    std::hint::spin_loop();
                }
                turn.departures.push(Departure {
                    due,
                    woken: tai_now(),
                });
            }
            turn
        });
        spinning.join().expect("the spin loop")
    })
}
