//! Tests in virtual machines: on other kernels than the host's, with devices that it has not, in virtual time.
//!
//! This library is the host's side; `cargo xtask vm-test` is its command. [`suite`] has the tests, [`Test`] says what one
//! is, [`runner`] runs them, and [`Machine`] is a guest that can be booted. What runs in the guests are the files of
//! `vm-tests/tests/` and `tests/tests/`; [`guest`] and [`companion`] are for them.

#![forbid(unsafe_code)]

pub mod accelerator;
pub mod companion;
mod console;
pub mod guest;
mod initramfs;
pub mod kernel;
pub mod kernels;
mod machine;
mod modules;
mod outcome;
pub mod packages;
mod places;
mod programs;
pub mod qemu;
pub mod report;
pub mod runner;
mod spec;
pub mod suite;
mod vmlinux;

pub use kernel::Kernel;
pub use machine::Machine;
pub use outcome::Outcome;
pub use programs::{Built, Programs};
pub use spec::{Device, Expected, Guest, Program, Test, TestFile, TimeMode, Wire};
