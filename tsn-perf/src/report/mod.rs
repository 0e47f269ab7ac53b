//! The report of one or more runs: a self-contained HTML page, its figures as SVG, its data as CSV, and a table for the
//! terminal.
//!
//! The page needs no network and no script: inline SVG and CSS, light or dark as the reader's system is.

mod cdf;
mod csv;
mod cycle;
mod data;
mod density;
mod document;
mod error_axis;
mod figure;
mod figures;
mod histogram;
mod marks;
mod overview;
mod page;
mod plot;
mod table;
mod text;

pub use csv::{figures_csv, frames_csv};
pub use data::{Dot, GateRow, Report, Run, StreamResult};
pub use document::svg;
pub use page::html;
pub use table::table;
