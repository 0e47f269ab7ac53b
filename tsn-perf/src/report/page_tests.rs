use super::*;
use crate::distribution::Distribution;
use crate::report::{Dot, GateRow};

const HOSTILE: &str = "<script>alert('1')</script> & \"more\"";

fn timed_stream(name: &str) -> StreamResult {
    let frames: Vec<Dot> = (0..200)
        .map(|index| {
            let launch_time_ns = index * 1_000_000 + 200_000;
            let arrival_ns = launch_time_ns - 300 + index * 7;
            Dot {
                arrival_ns,
                launch_time_ns: Some(launch_time_ns),
                stalled: index == 7,
            }
        })
        .collect();
    let errors = frames
        .iter()
        .map(|dot| dot.arrival_ns as i64 - dot.launch_time_ns.unwrap_or(0) as i64);
    StreamResult {
        name: name.to_owned(),
        class: 7,
        sent: 201,
        received: 200,
        lost: 1,
        error_ns: Distribution::of(errors),
        frames,
        ..StreamResult::default()
    }
}

fn flood(frames: u64) -> StreamResult {
    let frames = (0..frames)
        .map(|index| Dot {
            arrival_ns: index * 2_003,
            launch_time_ns: None,
            stalled: false,
        })
        .collect();
    StreamResult {
        name: "bulk".to_owned(),
        frames,
        ..StreamResult::default()
    }
}

fn report() -> Report {
    let gates = vec![
        GateRow {
            class: 7,
            name: HOSTILE.to_owned(),
            windows: vec![(190_000, 300_000)],
        },
        GateRow {
            class: 0,
            name: "rest".to_owned(),
            windows: vec![(0, 150_000), (350_000, 1_000_000)],
        },
    ];
    let run = Run {
        name: HOSTILE.to_owned(),
        note: HOSTILE.to_owned(),
        streams: vec![timed_stream(HOSTILE), flood(50_000)],
    };
    Report {
        title: HOSTILE.to_owned(),
        cycle_ns: 1_000_000,
        base_time_ns: 0,
        gates,
        runs: vec![run],
        notes: vec![HOSTILE.to_owned()],
    }
}

/// Fails unless every element of the page is closed, in its order, and every attribute is quoted.
fn assert_well_formed(page: &str) {
    let page = page
        .strip_prefix("<!DOCTYPE html>")
        .expect("the page says that it is HTML");
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>'),
            "stray > in {:?}",
            &rest[..start]
        );
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes of <{tag}>");
        assert!(!tag.contains('<'), "tag within <{tag}>");
        let name = tag
            .trim_matches('/')
            .split_whitespace()
            .next()
            .expect("a tag has a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes another");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn the_page_is_well_formed_and_takes_text_as_text() {
    let page = html(&report());
    assert_well_formed(&page);
    assert!(!page.contains("<script"));
    assert!(
        page.matches("&lt;script&gt;").count() >= 7,
        "title, gates, run, note, stream, notes"
    );
}

#[test]
fn an_empty_report_is_a_page_too() {
    assert_well_formed(&html(&Report::default()));
    let run = Run {
        streams: vec![StreamResult::default()],
        ..Run::default()
    };
    assert_well_formed(&html(&Report {
        runs: vec![run],
        ..Report::default()
    }));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html(&report());
    for reference in ["http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn every_timed_frame_is_drawn_and_a_flood_stays_small() {
    let page = html(&report());
    // 200 timed frames: 199 dots, and one stalled one, which is a ring and its hole. The legend has 5 more.
    assert_eq!(page.matches("h0").count(), 199 + 2 + 5);
    let mut crowded = report();
    crowded.runs[0].streams.push(flood(400_000));
    assert!(html(&crowded).len() < page.len() + 500_000);
}

#[test]
fn a_frame_outside_its_gate_is_marked() {
    let mut late = report();
    let crosses = |page: &str| page.matches("class=\"cross alarm\"").count();
    let before = crosses(&html(&late));
    late.runs[0].streams[0].frames[3].arrival_ns += 400_000;
    assert_eq!(crosses(&html(&late)), before + 1);
}

#[test]
fn a_stream_keeps_its_colour_over_runs() {
    let mut two = report();
    let mut second = two.runs[0].clone();
    second.streams.reverse();
    two.runs.push(second);
    assert_eq!(
        (two.stream_index(HOSTILE), two.stream_index("bulk")),
        (0, 1)
    );
}
