//! What the kernel sends and receives by the card for itself and for the pods, whoever else uses the card.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tsn_tests::namespace::Namespace;

use crate::bed::{Bed, FAR, NODE};

const PATIENCE: Duration = Duration::from_secs(10);
/// From short ones to the longest that fit the MTU.
const DATAGRAM_BYTES: [usize; 4] = [1, 500, 1100, 1472];
const DATAGRAMS: usize = 40;
/// Many segments of TCP, so that offloads have their part.
const STREAM_BYTES: usize = 300_000;

/// An end of a conversation.
struct End<'a> {
    namespace: &'a Namespace,
    address: Ipv4Addr,
}

/// Has the far end, the node and a pod of it speak with each other by UDP and TCP; everything must arrive.
pub fn check(bed: &Bed) -> Result<()> {
    let far = End {
        namespace: &bed.far,
        address: FAR,
    };
    let node = End {
        namespace: &bed.node,
        address: NODE,
    };
    let pod = End {
        namespace: &bed.pods[0],
        address: Ipv4Addr::new(10, 71, 0, 1),
    };
    for (what, client, server) in [
        ("the far end to the node", &far, &node),
        ("the node to the far end", &node, &far),
        ("the pod to the far end", &pod, &far),
    ] {
        datagrams(client, server).with_context(|| format!("datagrams of {what}"))?;
        stream(client, server).with_context(|| format!("a stream of {what}"))?;
    }
    Ok(())
}

/// Each is sent back before the next is sent.
fn datagrams(client: &End<'_>, server: &End<'_>) -> Result<()> {
    let bind = |end: &End<'_>| -> Result<UdpSocket> {
        let socket = end
            .namespace
            .enter(|| UdpSocket::bind((end.address, 0)))??;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    };
    let (asking, answering) = (bind(client)?, bind(server)?);
    asking.connect(answering.local_addr()?)?;
    let mut buffer = [0; 2048];
    for number in 0..DATAGRAMS {
        let sent = vec![number as u8; DATAGRAM_BYTES[number % DATAGRAM_BYTES.len()]];
        let bytes = sent.len();
        asking.send(&sent)?;
        let (length, from) = answering
            .recv_from(&mut buffer)
            .with_context(|| format!("datagram {number} of {bytes} bytes does not arrive"))?;
        ensure!(buffer[..length] == sent, "datagram {number} is another");
        answering.send_to(&sent, from)?;
        let length = asking
            .recv(&mut buffer)
            .with_context(|| format!("datagram {number} of {bytes} bytes does not come back"))?;
        ensure!(buffer[..length] == sent, "answer {number} is another");
    }
    Ok(())
}

/// All that is sent comes back.
fn stream(client: &End<'_>, server: &End<'_>) -> Result<()> {
    let listener = server
        .namespace
        .enter(|| TcpListener::bind((server.address, 0)))??;
    let address = listener.local_addr()?;
    let sent: Vec<u8> = (0..STREAM_BYTES).map(|at| (at % 251) as u8).collect();
    let mut stream = client
        .namespace
        .enter(|| TcpStream::connect_timeout(&address, PATIENCE))??;
    let (mut peer, _) = listener.accept()?;
    for end in [&stream, &peer] {
        end.set_read_timeout(Some(PATIENCE))?;
        end.set_write_timeout(Some(PATIENCE))?;
    }
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let mut received = Vec::new();
        peer.read_to_end(&mut received)?;
        peer.write_all(&received)
    });
    stream.write_all(&sent)?;
    stream.shutdown(Shutdown::Write)?;
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    echo.join()
        .map_err(|_| anyhow::anyhow!("the echo panicked"))??;
    ensure!(
        back == sent,
        "{} of {} bytes came back",
        back.len(),
        sent.len()
    );
    Ok(())
}
