//! A streamed answer: bytes within bounds, split into events by the SSE parser, typed.

use std::{error::Error, pin::Pin};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use reqwest::Response;
use secrecy::SecretString;
use sse_stream::SseStream;
use thiserror::Error;
use tokio::time::timeout;

use super::{ModelError, ModelErrorReason, ModelLimits, types::StreamEvent};

type Events = Pin<Box<dyn Stream<Item = Result<StreamEvent, ModelError>> + Send>>;

/// A streamed answer. Dropping it ends the request.
pub struct MessageStream {
    events: Events,
    key: SecretString,
    ended: bool,
}

/// Why reading a body stopped.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error("no byte arrived for too long")]
    Idle,
    #[error("the body is too long")]
    TooLong,
    #[error("the connection failed")]
    Transport(#[source] reqwest::Error),
    #[error("nobody wants more of it")]
    Gone,
}

/// Bounds while a body is read.
struct Reader {
    response: Response,
    limits: ModelLimits,
    total: usize,
    line: usize,
    failed: bool,
}

impl MessageStream {
    pub(super) fn new(response: Response, limits: ModelLimits, key: SecretString) -> Self {
        let events =
            SseStream::from_bytes_stream(bounded(response, limits)).filter_map(async |item| {
                match item {
                    Ok(sse) => sse.data.and_then(|data| parse(&data)),
                    Err(error) => Some(Err(of_sse(&error))),
                }
            });
        Self {
            events: Box::pin(events),
            key,
            ended: false,
        }
    }

    /// The next event, or none after the last. A stream that ends before `message_stop` ends with
    /// an error.
    pub async fn next(&mut self) -> Option<Result<StreamEvent, ModelError>> {
        if self.ended {
            return None;
        }
        let next = match self.events.next().await {
            Some(Ok(StreamEvent::Error { error })) => Err(ModelError::of_event(&error, &self.key)),
            Some(next) => next,
            None => Err(ModelError::new(ModelErrorReason::StreamCut)),
        };
        self.ended = matches!(next, Err(_) | Ok(StreamEvent::MessageStop));
        Some(next)
    }
}

impl std::fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageStream")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Whether a response streams events.
pub(super) fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
    kind.and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"))
}

/// One event; none for what some gateways send at the end.
pub(super) fn parse(data: &str) -> Option<Result<StreamEvent, ModelError>> {
    if data.trim() == "[DONE]" {
        return None;
    }
    let event = serde_json::from_str(data);
    Some(event.map_err(|_| ModelError::new(ModelErrorReason::Malformed)))
}

pub(super) fn of_sse(error: &sse_stream::Error) -> ModelError {
    match body_error(error) {
        Some(body) => of_body(body),
        None => ModelError::new(ModelErrorReason::Malformed),
    }
}

/// What stopped reading the body, if the parser was not the one that did.
pub(super) fn body_error(error: &sse_stream::Error) -> Option<&BodyError> {
    error.source().and_then(|source| source.downcast_ref())
}

pub(super) fn of_body(error: &BodyError) -> ModelError {
    match error {
        BodyError::Idle => ModelError::new(ModelErrorReason::Timeout),
        BodyError::TooLong => ModelError::new(ModelErrorReason::Malformed),
        BodyError::Transport(_) | BodyError::Gone => ModelError::new(ModelErrorReason::StreamCut),
    }
}

/// The bytes of a body, until it ends, stalls or grows too long.
pub(super) fn bounded(
    response: Response,
    limits: ModelLimits,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    let reader = Reader {
        response,
        limits,
        total: 0,
        line: 0,
        failed: false,
    };
    stream::unfold(reader, async |mut reader| {
        let chunk = reader.next().await?;
        Some((chunk, reader))
    })
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if self.failed {
            return None;
        }
        let chunk = match timeout(self.limits.idle_timeout, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk?),
            Ok(Err(error)) => Err(BodyError::Transport(error)),
            Err(_) => Err(BodyError::Idle),
        };
        let chunk = chunk.and_then(|chunk| self.measure(chunk));
        self.failed = chunk.is_err();
        Some(chunk)
    }

    fn measure(&mut self, chunk: Bytes) -> Result<Bytes, BodyError> {
        self.total += chunk.len();
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.line += part.len();
            if self.line > self.limits.line_bytes_max {
                return Err(BodyError::TooLong);
            }
            if part.ends_with(b"\n") {
                self.line = 0;
            }
        }
        if self.total > self.limits.stream_bytes_max {
            return Err(BodyError::TooLong);
        }
        Ok(chunk)
    }
}

/// A whole body that is not a stream.
pub(super) async fn bounded_body(
    response: Response,
    limits: ModelLimits,
) -> Result<Vec<u8>, ModelError> {
    let limits = ModelLimits {
        line_bytes_max: limits.body_bytes_max,
        stream_bytes_max: limits.body_bytes_max,
        ..limits
    };
    let mut chunks = Box::pin(bounded(response, limits));
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(|error| of_body(&error))?);
    }
    Ok(body)
}
