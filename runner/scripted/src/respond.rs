//! The way of an answer to the client: at once or as a stream, at the scenario's pace, and broken
//! where it says so.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::pending;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::scenario::{Fault, Pace, Step};
use crate::wire::{self, Message, Pause, Piece};

/// All there is to know to answer a request.
#[derive(Debug)]
pub(crate) struct Plan {
    outcome: Result<Message, ApiError>,
    fault: Option<Fault>,
    pace: Pace,
    stream: bool,
}

impl Plan {
    /// The plan for the step that answers this request, or for the error that it is.
    pub(crate) fn new(request: &Value, answer: Result<(Step, Pace), ApiError>) -> Self {
        let stream = request["stream"] == true;
        let (mut step, pace) = match answer {
            Ok(answer) => answer,
            Err(error) => return Self::refuse(error),
        };
        let outcome = match step.error.take() {
            Some(error) => Err(error.into()),
            None => Ok(Message::new(request, &step)),
        };
        Self {
            outcome,
            fault: step.fault,
            pace,
            stream,
        }
    }

    fn refuse(error: ApiError) -> Self {
        Self {
            outcome: Err(error),
            fault: None,
            pace: Pace::default(),
            stream: false,
        }
    }

    /// Status of the response.
    pub(crate) fn status(&self) -> u16 {
        self.outcome.as_ref().map_or_else(ApiError::status, |_| 200)
    }

    /// Waits for the head's delay and answers. All delays end when the server stops.
    pub(crate) async fn respond(self, request_id: &str, stop: CancellationToken) -> Response {
        let head = wait(self.pace.head_ms);
        if stop.run_until_cancelled(head).await.is_none() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let message = match self.outcome {
            Ok(message) => message,
            Err(error) => return error.response(request_id),
        };
        let (pieces, content_type) = if self.stream {
            let mut events = message.events(self.pace.chunk_chars);
            if let Some(fault) = &self.fault {
                wire::break_events(&mut events, fault, request_id);
            }
            (events, "text/event-stream; charset=utf-8")
        } else {
            let whole = wire::whole(&message, self.fault.as_ref(), request_id);
            (whole, "application/json")
        };
        body_response(send(pieces, self.pace, stop), content_type)
    }
}

fn body_response(body: Body, content_type: &'static str) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(content_type);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn send(pieces: Vec<Piece>, pace: Pace, stop: CancellationToken) -> Body {
    let bytes = futures::stream::iter(pieces)
        .then(move |piece| send_piece(piece, pace))
        .take_until(stop.cancelled_owned());
    Body::from_stream(bytes)
}

async fn send_piece(piece: Piece, pace: Pace) -> io::Result<Bytes> {
    match piece {
        Piece::Event { pause, bytes } => {
            wait(match pause {
                Pause::None => 0,
                Pause::Block => pace.block_ms,
                Pause::Chunk => pace.chunk_ms,
            })
            .await;
            Ok(bytes)
        }
        Piece::Cut => {
            // Lets the connection send what it has before it is dropped.
            tokio::task::yield_now().await;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Piece::Stall => pending().await,
    }
}

async fn wait(milliseconds: u64) {
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}
