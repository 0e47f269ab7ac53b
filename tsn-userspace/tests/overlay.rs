//! Overlay mode's control plane over a real kernel, in namespaces with devices and entries as flanneld makes them. Needs
//! root.

#[path = "overlay/bed.rs"]
mod bed;
#[path = "overlay/kernel.rs"]
mod kernel;
#[path = "overlay/node.rs"]
mod node;
