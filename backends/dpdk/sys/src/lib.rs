//! Raw bindings to the DPDK that is installed: what [`tsn-dpdk`](../tsn_dpdk/index.html) calls, and no more.
//!
//! bindgen makes them at build time from the headers that `pkg-config libdpdk` names, so structures fit the library
//! that is linked: 22.11 and later. `shim.c` compiles what DPDK has only as `static inline` functions or macros, and
//! what is called differently from release to release.
//!
//! The crate of this name on crates.io is not used: it dates from 2017, when it bound DPDK 17.08, and builds against no
//! release that a distribution still has.
//!
//! Functions and types are documented by DPDK: <https://doc.dpdk.org/api-22.11/>. Those of the shim are in `shim.h`.

#![allow(
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    unsafe_op_in_unsafe_fn,
    rustdoc::all
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
