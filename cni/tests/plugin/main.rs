//! The built plugin, called as a container runtime calls it, and a daemon that does what the test says.

mod add;
mod bed;
mod commands;
mod daemon;
mod del;
