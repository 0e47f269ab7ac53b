//! The daemon's side of the control API.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path as UrlPath, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use schemars::schema_for;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tsn_cni::record::{self, Key};
use tsn_port::Backend;

use super::api::{ApiError, Applied, OverlayStatus, PodStatus, Stalls, Status};
use crate::capture::line::CaptureLine;
use crate::capture::stream::lines;
use crate::config::{Configuration, GateParameters, Pod};
use crate::metrics;
use crate::node::{CaptureRequest, Node, NodeError};
use crate::worker::capture::capture as make_capture;

/// The largest request body: a gate control list of 65536 entries fits.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The node, which answers one request after the other.
pub(super) type Shared<B> = Arc<Mutex<Node<B>>>;

/// The API over a node.
pub fn router<B: Backend + 'static>(node: Shared<B>) -> Router {
    Router::new()
        .route("/v1/status", get(status::<B>))
        .route("/v1/pods", get(pods::<B>).post(add_pod::<B>))
        .route("/v1/pods/{name}", get(pod::<B>).delete(remove_pod::<B>))
        .route(
            "/v1/attachments/{network}/{container-id}/{interface}",
            get(attachment::<B>).put(attach::<B>).delete(detach::<B>),
        )
        .route("/v1/gates", get(gates::<B>).put(change_gates::<B>))
        .route("/v1/configuration", put(apply::<B>))
        .route("/v1/overlay", get(overlay::<B>))
        .route("/v1/stalls", get(stalls::<B>))
        .route("/v1/capture", get(capture::<B>))
        .route("/v1/schema", get(schema))
        .route("/metrics", get(metrics_text::<B>))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(node)
}

/// Binds the control socket for root alone; a socket that a dead daemon left is replaced, a live one is not.
///
/// # Errors
///
/// When another daemon listens there, or the path cannot be used.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another tsnd listens there; stop it, or give this one its own --control",
        ));
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody else may connect in the moment between bind and chmod either.
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(old);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl IntoResponse for NodeError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Invalid(_) | Self::Record(record::Error::Key(_)) => StatusCode::BAD_REQUEST,
            Self::PodExists(_)
            | Self::PodOfRecord(_)
            | Self::NeedsRestart(_)
            | Self::Worker(_)
            | Self::Buffers { .. }
            | Self::CaptureRuns => StatusCode::CONFLICT,
            Self::NoPod(_) | Self::NoRecord { .. } => StatusCode::NOT_FOUND,
            Self::WorkerSilent | Self::UplinkGone(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Backend(_)
            | Self::NamespaceGone(_)
            | Self::NamespaceHidden(_)
            | Self::Overlay(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::State(_) | Self::Record(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        tracing::info!(status = status.as_u16(), error = %self, "request refused");
        (
            status,
            Json(ApiError {
                error: self.to_string(),
            }),
        )
            .into_response()
    }
}

/// A body that is no JSON of the right shape.
struct BadBody(String);

impl IntoResponse for BadBody {
    fn into_response(self) -> Response {
        let error = format!("{}; `GET /v1/schema` describes the bodies", self.0);
        tracing::info!(status = 400, error, "request refused");
        (StatusCode::BAD_REQUEST, Json(ApiError { error })).into_response()
    }
}

fn decode<T: DeserializeOwned>(body: &Bytes) -> Result<T, BadBody> {
    serde_json::from_slice(body).map_err(|error| BadBody(error.to_string()))
}

async fn status<B: Backend>(State(node): State<Shared<B>>) -> Result<Json<Status>, NodeError> {
    node.lock().await.status().await.map(Json)
}

async fn pods<B: Backend>(
    State(node): State<Shared<B>>,
) -> Result<Json<Vec<PodStatus>>, NodeError> {
    node.lock().await.pods().await.map(Json)
}

async fn pod<B: Backend>(
    State(node): State<Shared<B>>,
    UrlPath(name): UrlPath<String>,
) -> Result<Json<PodStatus>, NodeError> {
    node.lock().await.pod(&name).await.map(Json)
}

/// Runs a change to its end, also when the client goes away half way: a pod that is half attached is nobody's.
async fn to_the_end<T: IntoResponse + Send + 'static>(
    change: impl Future<Output = Result<T, NodeError>> + Send + 'static,
) -> Response {
    match tokio::spawn(change).await {
        Ok(outcome) => outcome.into_response(),
        Err(error) => {
            let error = format!("the daemon failed: {error}; its log tells more");
            (StatusCode::INTERNAL_SERVER_ERROR, Json(ApiError { error })).into_response()
        }
    }
}

async fn add_pod<B: Backend + 'static>(State(node): State<Shared<B>>, body: Bytes) -> Response {
    let pod = match decode::<Pod>(&body) {
        Ok(pod) => pod,
        Err(error) => return error.into_response(),
    };
    to_the_end(async move {
        let status = node.lock().await.add_pod(pod).await?;
        Ok((StatusCode::CREATED, Json(status)))
    })
    .await
}

async fn remove_pod<B: Backend + 'static>(
    State(node): State<Shared<B>>,
    UrlPath(name): UrlPath<String>,
) -> Response {
    to_the_end(async move {
        node.lock().await.remove_pod(&name).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// The path of an attachment.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RecordKey {
    network: String,
    container_id: String,
    interface: String,
}

impl From<RecordKey> for Key {
    fn from(key: RecordKey) -> Self {
        Self {
            network: key.network,
            container_id: key.container_id,
            interface: key.interface,
        }
    }
}

async fn attachment<B: Backend>(
    State(node): State<Shared<B>>,
    UrlPath(key): UrlPath<RecordKey>,
) -> Result<Json<PodStatus>, NodeError> {
    node.lock().await.recorded(&key.into()).await.map(Json)
}

async fn attach<B: Backend + 'static>(
    State(node): State<Shared<B>>,
    UrlPath(key): UrlPath<RecordKey>,
) -> Response {
    to_the_end(async move {
        let mut node = node.lock().await;
        node.attach_recorded(&key.into()).await.map(Json)
    })
    .await
}

async fn detach<B: Backend + 'static>(
    State(node): State<Shared<B>>,
    UrlPath(key): UrlPath<RecordKey>,
) -> Response {
    to_the_end(async move {
        node.lock().await.detach_recorded(&key.into()).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

async fn gates<B: Backend>(State(node): State<Shared<B>>) -> Json<GateParameters> {
    Json(node.lock().await.gates().clone())
}

async fn change_gates<B: Backend + 'static>(
    State(node): State<Shared<B>>,
    body: Bytes,
) -> Response {
    let gates = match decode::<GateParameters>(&body) {
        Ok(gates) => gates,
        Err(error) => return error.into_response(),
    };
    to_the_end(async move { node.lock().await.change_gates(gates).await.map(Json) }).await
}

/// Query of `PUT /v1/configuration`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ApplyQuery {
    /// Takes the place of `admin-base-time`; TAI nanoseconds.
    at_ns: Option<u64>,
}

async fn apply<B: Backend + 'static>(
    State(node): State<Shared<B>>,
    Query(query): Query<ApplyQuery>,
    body: Bytes,
) -> Response {
    let configuration = match decode::<Configuration>(&body) {
        Ok(configuration) => configuration,
        Err(error) => return error.into_response(),
    };
    to_the_end(async move {
        let mut node = node.lock().await;
        node.apply(configuration, query.at_ns).await.map(Json)
    })
    .await
}

async fn overlay<B: Backend>(State(node): State<Shared<B>>) -> Json<OverlayStatus> {
    Json(node.lock().await.overlay())
}

async fn stalls<B: Backend>(State(node): State<Shared<B>>) -> Result<Json<Stalls>, NodeError> {
    node.lock().await.stalls().await.map(Json)
}

async fn capture<B: Backend>(
    State(node): State<Shared<B>>,
    Query(request): Query<CaptureRequest>,
) -> Result<Response, NodeError> {
    let filter = node.lock().await.capture_filter(&request)?;
    // Its memory is not made while others wait for the node.
    let (tap, reader) =
        tokio::task::spawn_blocking(move || make_capture(filter, request.snap_length))
            .await
            .map_err(|_| NodeError::WorkerSilent)?;
    let start = node.lock().await.start_capture(tap, &reader)?;
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((headers, Body::from_stream(lines(reader, start))).into_response())
}

async fn schema() -> Response {
    Json(serde_json::json!({
        "GET /v1/status": { "response": schema_for!(Status) },
        "GET /v1/pods": { "response": schema_for!(Vec<PodStatus>) },
        "POST /v1/pods": { "request": schema_for!(Pod), "response": schema_for!(PodStatus) },
        "GET /v1/pods/{name}": { "response": schema_for!(PodStatus) },
        "DELETE /v1/pods/{name}": {},
        "PUT /v1/attachments/{network}/{container-id}/{interface}": { "response": schema_for!(PodStatus) },
        "GET /v1/attachments/{network}/{container-id}/{interface}": { "response": schema_for!(PodStatus) },
        "DELETE /v1/attachments/{network}/{container-id}/{interface}": {},
        "GET /v1/gates": { "response": schema_for!(GateParameters) },
        "PUT /v1/gates": { "request": schema_for!(GateParameters), "response": schema_for!(Applied) },
        "PUT /v1/configuration?at-ns=": { "request": schema_for!(Configuration), "response": schema_for!(Applied) },
        "GET /v1/overlay": { "response": schema_for!(OverlayStatus) },
        "GET /v1/stalls": { "response": schema_for!(Stalls) },
        "GET /v1/capture?pod=&stream=&class=&snap-length=": { "response-line": schema_for!(CaptureLine<'_>) },
        "error": schema_for!(ApiError),
    }))
    .into_response()
}

async fn metrics_text<B: Backend>(State(node): State<Shared<B>>) -> Result<Response, NodeError> {
    let moment = node.lock().await.moment().await?;
    let headers = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
    Ok((headers, metrics::encode(&moment)).into_response())
}
