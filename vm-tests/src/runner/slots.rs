//! How many guests run at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// Slots, each for a thread of a guest.
pub struct Slots {
    all: usize,
    free: Mutex<usize>,
    freed: Condvar,
}

/// Slots that are taken; dropped, they are free again.
pub struct Taken<'a> {
    slots: &'a Slots,
    count: usize,
}

impl Slots {
    pub fn new(all: usize) -> Self {
        Self {
            all: all.max(1),
            free: Mutex::new(all.max(1)),
            freed: Condvar::new(),
        }
    }

    /// Waits until so many are free; who wants more than there are gets all.
    pub fn take(&self, wanted: usize) -> Taken<'_> {
        let count = wanted.min(self.all);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free < count)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= count;
        Taken { slots: self, count }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut free = self
            .slots
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *free += self.count;
        self.slots.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_run_than_there_are_slots() {
        let slots = Slots::new(2);
        let running = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for wanted in [1, 3, 1, 2, 1, 1] {
                let taken = slots.take(wanted);
                let (running, most) = (&running, &most);
                scope.spawn(move || {
                    let now = running.fetch_add(wanted.min(2), Ordering::SeqCst) + wanted.min(2);
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(wanted.min(2), Ordering::SeqCst);
                    drop(taken);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 2);
        drop(slots.take(2));
    }
}
