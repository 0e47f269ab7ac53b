//! The report of one or more runs: a self-contained HTML page, and a table for the terminal.
//!
//! The page needs no network and no script: inline SVG and CSS, light or dark as the reader's system is.

mod cycle;
mod data;
mod density;
mod figures;
mod histogram;
mod marks;
mod overview;
mod page;
mod plot;
mod table;
mod text;

pub use data::{Dot, GateRow, Report, Run, StreamResult};
pub use page::html;
pub use table::table;
