//! `/metrics` over TCP, where whoever reaches the address may ask.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tsn_port::fault::Faults;

use super::bench::{Bench, CONFIGURATION};

/// Longer than the daemon lets a connection last; a hung test ends here.
const BOUND: Duration = Duration::from_secs(20);

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// One answer, head and body. The request asks for the connection to be kept.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nhost: tsnd\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Each snapshot wakes the worker, so two of them differ in what it counts.
fn sleeps(answer: &str) -> &str {
    let line = answer
        .lines()
        .find(|line| line.starts_with("tsnd_sleeps_total "));
    line.unwrap_or_else(|| panic!("no metrics: {answer}"))
}

#[test]
fn many_scrapes_cost_the_worker_one_snapshot_a_second() {
    const SCRAPES: usize = 200;
    let (answers, took) = Bench::start(CONFIGURATION, Faults::default()).while_serving(|address| {
        let start = std::time::Instant::now();
        let answers: Vec<String> = (0..SCRAPES).map(|_| get(address, "/metrics")).collect();
        (answers, start.elapsed())
    });
    let mut texts: Vec<&str> = answers.iter().map(|answer| sleeps(answer)).collect();
    texts.dedup();
    let allowed = took.as_secs() as usize + 1;
    assert!(texts.len() <= allowed, "{} texts in {took:?}", texts.len());
}

#[test]
fn idle_connections_neither_pile_up_nor_keep_the_scraper_out() {
    let (answer, ends) = Bench::start(CONFIGURATION, Faults::default()).while_serving(|address| {
        let mut idle: Vec<TcpStream> = (0..40).map(|_| connect(address)).collect();
        // The first ones are ended by the daemon, which makes room; nobody else ends them.
        let ends = idle[0].read(&mut [0]).unwrap();
        drop(idle.split_off(1));
        (get(address, "/metrics"), ends)
    });
    assert_eq!(ends, 0);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    sleeps(&answer);
}

#[test]
fn nothing_else_is_served() {
    let answer = Bench::start(CONFIGURATION, Faults::default())
        .while_serving(|address| get(address, "/v1/status"));
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}
