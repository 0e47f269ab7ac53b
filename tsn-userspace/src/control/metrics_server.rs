//! `/metrics` over TCP, for a scraper that cannot reach the control socket.
//!
//! Whoever reaches the address may ask as often as they like, so this must cost the daemon little: few connections at a
//! time, none for long, and one snapshot of the worker a second at most, whoever asks for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tsn_port::Backend;

use super::server::Shared;
use crate::metrics;

/// Connections that are served at once; further ones wait in the kernel.
const CONNECTIONS: usize = 8;
/// How long a connection may take from its start to the end of its one answer.
const CONNECTION_LIMIT: Duration = Duration::from_secs(5);
/// How long an answer is given again before the worker is asked anew.
const FRESH: Duration = Duration::from_secs(1);
/// After an error of `accept`, such as no descriptors left, which would only come again.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves `/metrics`, and nothing else, until it is dropped.
pub async fn serve<B: Backend + 'static>(listener: TcpListener, node: Shared<B>) {
    let router = Router::new()
        .route("/metrics", get(answer::<B>))
        .with_state(Exposition {
            node,
            latest: Arc::default(),
        });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Never closed, so the loop does not end.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                accept_failed(&error).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            // Errors are the client's: it went away, or spoke no HTTP.
            let _ = tokio::time::timeout(CONNECTION_LIMIT, connection).await;
            drop(place);
        });
    }
}

async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "a scraper's connection cannot be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// The node, and what it told last.
struct Exposition<B: Backend> {
    node: Shared<B>,
    latest: Arc<Mutex<Option<Told>>>,
}

impl<B: Backend> Clone for Exposition<B> {
    fn clone(&self) -> Self {
        Self {
            node: Arc::clone(&self.node),
            latest: Arc::clone(&self.latest),
        }
    }
}

/// An answer, and when it was made.
#[derive(Clone)]
struct Told {
    at: Instant,
    status: StatusCode,
    content_type: &'static str,
    text: Bytes,
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, self.content_type)];
        (self.status, headers, self.text).into_response()
    }
}

async fn answer<B: Backend + 'static>(State(exposition): State<Exposition<B>>) -> Response {
    let mut latest = exposition.latest.lock_owned().await;
    match latest.as_ref() {
        Some(told) if told.at.elapsed() < FRESH => return told.clone().into_response(),
        _ => {}
    }
    // To its end, also when the scraper goes away: else whoever does so would have the worker asked each time.
    let asked = tokio::spawn(async move {
        let told = ask(&exposition.node).await;
        latest.insert(told).clone()
    });
    match asked.await {
        Ok(told) => told.into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics were not made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An error is kept as well: a silent worker holds the node for a second each time that it is asked.
async fn ask<B: Backend>(node: &Shared<B>) -> Told {
    let moment = node.lock().await.moment().await;
    let (status, content_type, text) = match moment {
        Ok(moment) => (
            StatusCode::OK,
            metrics::CONTENT_TYPE,
            metrics::encode(&moment),
        ),
        Err(error) => {
            tracing::warn!(%error, "no metrics");
            let text = format!("{error}\n");
            (StatusCode::SERVICE_UNAVAILABLE, "text/plain", text)
        }
    };
    Told {
        at: Instant::now(),
        status,
        content_type,
        text: text.into(),
    }
}
