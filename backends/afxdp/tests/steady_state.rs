//! Receiving, forwarding and transmitting allocates nothing and copies no payload. Needs root.

mod bed;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use tsn_port::conformance::TestBed;
use tsn_port::{Backend, Frame, Port};

const FRAMES: u64 = 10_000;
const BURST: u64 = 32;

/// Counts what the threads allocate that have asked for it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<Option<u64>> = const { Cell::new(None) };
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get().map(|count| count + 1)));
}

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // Freeing in the steady state is as bad as allocating.
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations (and their ends) of this thread during `action`.
fn allocations(action: impl FnOnce()) -> u64 {
    ALLOCATIONS.with(|count| count.set(Some(0)));
    action();
    ALLOCATIONS
        .with(|count| count.replace(None))
        .expect("still counting")
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 2);
}

#[test]
fn forwarding_allocates_and_copies_nothing() {
    let mut bed = bed::Bed::new();
    bed::run(
        "ip link add up0 type veth peer name wire0 && ip link set up0 up && ip link set wire0 up",
    );
    let mut uplink = bed.backend.open_uplink("up0").expect("uplink");
    let (mut sent, mut forwarded) = (0, 0);
    let at_rest = bed.free_buffers();
    let mut forward = |frames: u64| {
        let target = sent + frames;
        while forwarded < target {
            while sent < target && sent - forwarded < BURST {
                let mut frame = bed.sender.allocate(1000).expect("a free chunk");
                frame.bytes_mut().fill(0xff);
                bed.sender.transmit(frame).expect("room in the ring");
                sent += 1;
            }
            bed.sender.wake().expect("wake");
            while let Some(frame) = bed.receiver.receive() {
                // A kernel's own frames may be among them; only ours are this long.
                forwarded += u64::from(frame.bytes().len() == 1000);
                uplink.transmit(frame).expect("room in the ring");
            }
            uplink.wake().expect("wake");
        }
    };
    forward(BURST); // fills rings and caches
    assert_eq!(
        allocations(|| forward(FRAMES)),
        0,
        "allocations in the steady state"
    );

    for port in [&bed.sender, &bed.receiver, &uplink] {
        assert_eq!(port.counters().copied_bytes, 0);
    }
    let counters = uplink.counters();
    assert!(counters.transmit_queued >= FRAMES, "{counters:?}");
    assert!(
        counters.wakes < counters.transmit_queued / 4,
        "wakes go by the burst: {counters:?}"
    );
    let start = Instant::now();
    while uplink.counters().transmitted < counters.transmit_queued || bed.free_buffers() < at_rest {
        uplink.wake().expect("wake");
        bed.sender.wake().expect("wake");
        drop(bed.receiver.receive());
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "chunks are missing: {counters:?}"
        );
    }
    assert_eq!(bed.free_buffers(), at_rest, "every chunk came back");
}
