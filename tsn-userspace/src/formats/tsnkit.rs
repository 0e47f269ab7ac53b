//! The CSV files that the scheduling toolkit tsnkit (0.3) writes: the gates of one link.
//!
//! `…-GCL.csv` has a row for each window: in `[start, end)` of each cycle, in nanoseconds, the gate of the queue is
//! open; outside its windows it is closed. Queue i becomes traffic class i; what no row names stays closed. Windows
//! that reach beyond the cycle go on at its start. tsnkit has no base time; it becomes 0, which starts a cycle at each
//! whole multiple of the cycle time.
//!
//! `…-OFFSET.csv` and `…-QUEUE.csv` say when a talker sends and by which queue. The configuration of `tsnd` has no
//! place for an offset: it is the launch time that the application puts on each frame. So each is told as a [`Loss`].

use std::collections::{BTreeMap, BTreeSet};

use csv::{ReaderBuilder, StringRecord};

use super::config::{
    GateControlEntry, GateParameters, GateStatesValue, Interval, TrafficClassSettings, Uplink,
};
use super::{Converted, FormatError, Loss, Selection, gates};

/// The first line of `…-GCL.csv`.
pub(super) const GATES_HEADER: &str = "link,queue,start,end,cycle";
const OFFSETS_HEADER: &str = "stream,frame,offset";
const QUEUES_HEADER: &str = "stream,frame,link,queue";

/// Which columns and options say what the fields of an uplink say.
pub(super) const WORDS: [(&str, &str); 3] = [
    ("uplinks[0].device", "--device"),
    (
        "uplinks[0].gate-parameters.admin-control-list",
        "GCL windows",
    ),
    ("uplinks[0].gate-parameters.admin-cycle-time", "GCL cycle"),
];

/// From one node to another.
type Link = (u64, u64);

/// While it lasts, the gate of the queue is open.
struct Window {
    queue: u8,
    start_ns: u64,
    length_ns: u64,
}

pub(super) fn read(text: &str, selection: Selection<'_>) -> Result<Converted<Uplink>, FormatError> {
    let wanted = selection
        .link
        .map(|link| parse_link("--link", link))
        .transpose()?;
    let mut links = BTreeSet::new();
    let mut windows = Vec::new();
    let mut cycle_ns = None;
    for row in Rows::of("GCL", GATES_HEADER, text)? {
        let row = row?;
        let link = row.link(0)?;
        links.insert(link);
        if Some(link) != wanted {
            continue;
        }
        let cycle = row.number(4)?;
        if cycle == 0 || cycle_ns.is_some_and(|before| before != cycle) {
            return Err(row.wrong(4, "a link has one cycle, of 1 ns or more"));
        }
        cycle_ns = Some(cycle);
        windows.push(row.window(cycle)?);
    }
    let (Some((from, to)), Some(cycle_ns)) = (wanted, cycle_ns) else {
        let links: Vec<String> = links.iter().map(|(a, b)| format!("'({a}, {b})'")).collect();
        return Err(FormatError::value(
            "--link",
            format!("choose one of the links with gates: {}", links.join(", ")),
        ));
    };
    let queues: BTreeSet<u8> = windows.iter().map(|window| window.queue).collect();
    let uplink = Uplink {
        traffic_classes: queues
            .into_iter()
            .map(TrafficClassSettings::numbered)
            .collect(),
        gate_parameters: GateParameters {
            admin_cycle_time: Some(gates::fraction("cycle", cycle_ns)?),
            admin_control_list: control_list(&windows, cycle_ns),
            ..GateParameters::default()
        },
        ..Uplink::on_device(selection.device.unwrap_or("eth0"))
    };
    Ok(Converted {
        document: uplink,
        losses: launch_times((from, to), selection)?,
    })
}

/// The windows of all queues, laid over each other.
fn control_list(windows: &[Window], cycle_ns: u64) -> Vec<GateControlEntry> {
    // How many windows of each queue begin, less how many end, at each moment of the cycle.
    let mut changes: BTreeMap<u64, [i32; 8]> = BTreeMap::from([(0, [0; 8])]);
    let mut change = |at: u64, queue: u8, by: i32| {
        changes.entry(at).or_default()[usize::from(queue)] += by;
    };
    for window in windows {
        let start = window.start_ns % cycle_ns;
        change(start, window.queue, 1);
        // The length is at most the cycle, so both sums stay below two cycles.
        let beyond = window.length_ns.saturating_sub(cycle_ns - start);
        if beyond > 0 {
            change(0, window.queue, 1);
            change(beyond, window.queue, -1);
        } else {
            change(start + window.length_ns, window.queue, -1);
        }
    }
    let mut open = [0i32; 8];
    let mut entries: Vec<(u8, u64)> = Vec::new(); // states and the moment from which they hold
    for (at, change) in changes.range(..cycle_ns) {
        for (open, change) in open.iter_mut().zip(change) {
            *open += change;
        }
        let states = (0..).zip(&open).fold(0, |states, (queue, open)| {
            states | u8::from(*open > 0) << queue
        });
        if entries.last().is_none_or(|(before, _)| *before != states) {
            entries.push((states, *at));
        }
    }
    let ends: Vec<u64> = entries
        .iter()
        .skip(1)
        .map(|(_, at)| *at)
        .chain([cycle_ns])
        .collect();
    entries
        .iter()
        .zip(ends)
        .map(|((states, at), end)| GateControlEntry {
            gate_states_value: GateStatesValue::Mask(*states),
            time_interval_value: Interval::from_ns(end - at),
        })
        .collect()
}

/// A loss for each offset of a stream that leaves by the link, which only the queue file tells.
fn launch_times(link: Link, selection: Selection<'_>) -> Result<Vec<Loss>, FormatError> {
    let mut classes = BTreeMap::new();
    for row in Rows::of(
        "QUEUE",
        QUEUES_HEADER,
        selection.queues.unwrap_or(QUEUES_HEADER),
    )? {
        let row = row?;
        if row.link(2)? == link {
            classes.insert((row.number(0)?, row.number(1)?), row.queue(3)?);
        }
    }
    let mut losses = Vec::new();
    for row in Rows::of(
        "OFFSET",
        OFFSETS_HEADER,
        selection.offsets.unwrap_or(OFFSETS_HEADER),
    )? {
        let row = row?;
        let (stream, frame, offset) = (row.number(0)?, row.number(1)?, row.number(2)?);
        if let Some(class) = classes.get(&(stream, frame)) {
            losses.push(Loss::new(
                format!("offset of stream {stream}, frame {frame}"),
                format!("{offset} ns"),
                format!(
                    "a launch time, which its talker puts on each frame (SO_TXTIME): admin-base-time + n periods + \
                     {offset} ns; give the talker's pod a stream with traffic-class {class}"
                ),
            ));
        }
    }
    Ok(losses)
}

/// `(1, 4)`, as tsnkit writes it; also `1,4`.
fn parse_link(place: &str, text: &str) -> Result<Link, FormatError> {
    let text = text.trim();
    let inner = match text.strip_prefix('(') {
        Some(rest) => rest.strip_suffix(')'),
        None => Some(text),
    };
    let numbers = inner
        .and_then(|inner| inner.split_once(','))
        .and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)));
    numbers.ok_or_else(|| {
        FormatError::value(
            place,
            format!("`{text}` is no link; a link is two nodes, such as (1, 4)"),
        )
    })
}

/// The rows of a file whose header is right.
struct Rows<'a> {
    file: &'static str,
    header: &'static str,
    records: csv::StringRecordsIntoIter<&'a [u8]>,
}

struct Row {
    file: &'static str,
    header: &'static str,
    record: StringRecord,
}

impl<'a> Rows<'a> {
    fn of(file: &'static str, header: &'static str, text: &'a str) -> Result<Self, FormatError> {
        let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
        let found = reader
            .headers()
            .map(|names| names.iter().collect::<Vec<_>>().join(","))
            .map_err(|error| FormatError::value(file, error.to_string()))?;
        if found != header {
            return Err(FormatError::value(
                format!("{file}, line 1"),
                format!("the columns are `{found}`; tsnkit writes `{header}`"),
            ));
        }
        Ok(Self {
            file,
            header,
            records: reader.into_records(),
        })
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        Some(match record {
            Ok(record) => Ok(Row {
                file: self.file,
                header: self.header,
                record,
            }),
            Err(error) => Err(FormatError::value(self.file, error.to_string())),
        })
    }
}

impl Row {
    fn place(&self, column: usize) -> String {
        let line = self.record.position().map_or(0, csv::Position::line);
        let name = self.header.split(',').nth(column).unwrap_or_default();
        format!("{}, line {line}, {name}", self.file)
    }

    fn text(&self, column: usize) -> &str {
        // The reader refuses rows that are shorter than the header.
        self.record.get(column).unwrap_or_default()
    }

    fn wrong(&self, column: usize, limit: &str) -> FormatError {
        let text = self.text(column);
        FormatError::value(self.place(column), format!("`{text}`: {limit}"))
    }

    fn number(&self, column: usize) -> Result<u64, FormatError> {
        let number = self.text(column).trim().parse();
        number.map_err(|_| self.wrong(column, "it is a whole number, 0 or more"))
    }

    fn queue(&self, column: usize) -> Result<u8, FormatError> {
        u8::try_from(self.number(column)?)
            .ok()
            .filter(|queue| *queue < 8)
            .ok_or_else(|| self.wrong(column, "tsnd has the traffic classes 0 to 7"))
    }

    fn link(&self, column: usize) -> Result<Link, FormatError> {
        parse_link(&self.place(column), self.text(column))
    }

    fn window(&self, cycle_ns: u64) -> Result<Window, FormatError> {
        let (start_ns, end_ns) = (self.number(2)?, self.number(3)?);
        let length_ns = end_ns
            .checked_sub(start_ns)
            .filter(|length| (1..=cycle_ns).contains(length))
            .ok_or_else(|| {
                let limit = format!(
                    "a window ends 1 ns to one cycle ({cycle_ns} ns) after its start ({start_ns})"
                );
                self.wrong(3, &limit)
            })?;
        Ok(Window {
            queue: self.queue(1)?,
            start_ns,
            length_ns,
        })
    }
}
