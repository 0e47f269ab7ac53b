//! One line per frame.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::stream::Frame;

const BUFFER_BYTES: usize = 1 << 20;

/// A CSV file of frames, in their order of arrival.
pub struct CsvFile(BufWriter<File>);

impl CsvFile {
    /// Creates the file and writes its header line.
    ///
    /// # Errors
    ///
    /// When the file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
        writeln!(
            file,
            "stream,sequence,launch_time_ns,arrival_ns,error_ns,size_bytes,arrival_index,send_time_ns,vlan_id,pcp"
        )?;
        Ok(Self(file))
    }

    /// Writes one frame's line.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&mut self, stream: &str, frame: &Frame, arrival_index: u64) -> io::Result<()> {
        let file = &mut self.0;
        write!(file, "{stream},{},", frame.header.sequence)?;
        write_or_empty(file, frame.header.launch_time_ns)?;
        write!(file, "{},", frame.arrival_ns)?;
        write_or_empty(file, frame.error_ns())?;
        write!(file, "{},{arrival_index},", frame.size_bytes)?;
        write_or_empty(file, frame.header.sent.map(|sent| sent.time_ns))?;
        match frame.tag {
            Some(tag) => writeln!(file, "{},{}", tag.id, tag.pcp),
            None => writeln!(file, ","),
        }
    }

    /// Writes what is still buffered.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn write_or_empty(file: &mut impl Write, value: Option<impl std::fmt::Display>) -> io::Result<()> {
    match value {
        Some(value) => write!(file, "{value},"),
        None => file.write_all(b","),
    }
}
