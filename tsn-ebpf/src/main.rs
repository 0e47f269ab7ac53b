//! The kernel programs: [`stamp`] at a pod's end of its veth pair, [`redirect`] at the host's end, [`receive`] at the
//! uplink. They share the records of `tsn-common` and the maps of [`maps`].
#![no_std]
#![no_main]

mod forward;
mod frame;
mod maps;
mod receive;
mod redirect;
mod route;
mod stamp;

/// The kernel lets only programs under a GPL-compatible licence call all helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier admits no program in which this can be reached.
    loop {}
}
