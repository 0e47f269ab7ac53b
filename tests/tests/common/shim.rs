//! A clock of a daemon's own: a library that is loaded before the C library, and tells what a file says.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use super::Bed;

/// The file has five 64-bit numbers: by how much CLOCK_TAI and CLOCK_REALTIME are ahead, in nanoseconds; whether the
/// clock is unsynchronised; offset (ns), estimated and maximal error (µs).
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timex.h>
#include <time.h>

static volatile int64_t *said;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("TSN_CLOCK_FILE"), O_RDONLY);
    void *map = mmap(0, 40, PROT_READ, MAP_SHARED, file, 0);
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (map == MAP_FAILED || !real) abort();
    said = map;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!said) begin();
    int result = real(clock, now);
    if (clock == CLOCK_TAI || clock == CLOCK_REALTIME) {
        int64_t ns = now->tv_nsec + said[0];
        now->tv_sec += ns / 1000000000;
        now->tv_nsec = ns % 1000000000;
    }
    return result;
}

int adjtimex(struct timex *timex) {
    memset(timex, 0, sizeof *timex);
    timex->status = STA_NANO | (said[1] ? STA_UNSYNC : 0);
    timex->offset = said[2];
    timex->esterror = said[3];
    timex->maxerror = said[4];
    timex->tai = 37;
    return said[1] ? TIME_ERROR : TIME_OK;
}
"#;

/// The library and the file that it reads.
pub struct ClockShim {
    library: PathBuf,
    path: PathBuf,
    file: File,
}

impl ClockShim {
    /// Builds it in the bed's home. The clock is not ahead, and unsynchronised.
    pub fn build(bed: &Bed) -> Self {
        let (source, library) = (bed.home.file("clock.c"), bed.home.file("clock.so"));
        std::fs::write(&source, SOURCE).unwrap();
        let compiled = Command::new("gcc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .expect("gcc is missing; `cargo xtask setup` installs it");
        let errors = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "gcc -shared: {errors}");
        let path = bed.home.file("clock");
        let options = OpenOptions::new().write(true).create_new(true).open(&path);
        let shim = Self {
            library,
            path,
            file: options.unwrap(),
        };
        for (index, number) in [0, 1, 250, 5, 100].into_iter().enumerate() {
            shim.say(index as u64, number);
        }
        shim
    }

    /// Lets a command have this clock.
    pub fn preload(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("TSN_CLOCK_FILE", &self.path);
    }

    /// Finds or loses the clock's source.
    pub fn set_locked(&mut self, locked: bool) {
        self.say(1, i64::from(!locked));
    }

    /// Sets the clock so far ahead of what it would be without this.
    pub fn set_ahead(&mut self, ahead: Duration) {
        self.say(0, ahead.as_nanos() as i64);
    }

    /// One aligned write of eight bytes is seen as a whole.
    fn say(&self, index: u64, number: i64) {
        let bytes = number.to_ne_bytes();
        self.file.write_all_at(&bytes, index * 8).unwrap();
    }
}
