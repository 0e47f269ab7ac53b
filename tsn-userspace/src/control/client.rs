//! The client's side of the control API, as `tsnctl` uses it.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::api::ApiError;

/// Sends one request and reads the whole answer.
///
/// # Errors
///
/// When no daemon listens on the socket, this user may not use it, or the daemon refuses: then the error is the daemon's own.
pub async fn request<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<T> {
    let answer = open(socket, method, path, body).await?;
    let body = answer.collect().await?.to_bytes();
    serde_json::from_slice(&body).context("tsnd and tsnctl are of different versions")
}

/// Sends one request and gives the answer as it comes.
///
/// # Errors
///
/// As [`request`].
pub async fn open(socket: &Path, method: Method, path: &str, body: Vec<u8>) -> Result<Incoming> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        let socket = socket.display();
        let what = match error.kind() {
            ErrorKind::PermissionDenied => {
                format!("{socket} is not for this user; run tsnctl as root, as tsnd")
            }
            _ => format!(
                "no tsnd listens on {socket}; is it running, and does --control name its socket?"
            ),
        };
        anyhow::Error::from(error).context(what)
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "tsnd")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body();
    if !status.is_success() {
        let body = body.collect().await?.to_bytes();
        match serde_json::from_slice::<ApiError>(&body) {
            Ok(refused) => bail!("{}", refused.error),
            Err(_) => bail!("tsnd answered {status}: {}", String::from_utf8_lossy(&body)),
        }
    }
    Ok(body)
}
