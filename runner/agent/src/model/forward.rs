//! Requests that somebody else has made, sent on with this client's key. The body goes out as it
//! is; of the headers only those that are named here pass, in either direction.

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use reqwest::{
    Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::Deserialize;
use sse_stream::SseStream;
use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{Duration, timeout},
};

use super::{
    Assembler, ModelClient, ModelError, ModelErrorReason, ModelLimits, error,
    stream::{self as body, BodyError},
    types::{ErrorBody, StreamEvent},
};

/// How long a provider may think before it sends a whole answer.
const WHOLE_ANSWER: Duration = Duration::from_mins(10);

/// Headers of a request that go to the provider, beside the client's own.
const OUT: [HeaderName; 3] = [
    ACCEPT,
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];

/// Headers of an answer that come back.
const BACK: [&str; 5] = [
    "content-type",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
];

/// The same by how their names begin.
const BACK_PREFIX: &str = "anthropic-ratelimit-";

/// What is asked of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/messages`, with a streamed answer or a whole one.
    Messages {
        /// Which.
        streamed: bool,
    },
    /// `POST /v1/messages/count_tokens`, which costs nothing.
    CountTokens,
}

/// What the provider said.
#[derive(Debug)]
pub enum Forwarded {
    /// It answers.
    Answer(ForwardedAnswer),
    /// It does not, and says why, in the form of the Messages API.
    Refused(Refused),
}

/// An answer whose head is there. Dropping it ends the request.
#[derive(Debug)]
pub struct ForwardedAnswer {
    /// 200 to 299.
    pub status: u16,
    /// The headers that may pass.
    pub headers: HeaderMap,
    response: Response,
    limits: ModelLimits,
    endpoint: Endpoint,
}

/// A refusal in the provider's words, without the key.
#[derive(Debug, Clone)]
pub struct Refused {
    /// 400 to 599.
    pub status: u16,
    /// The headers that may pass.
    pub headers: HeaderMap,
    /// The error.
    pub body: ErrorBody,
    /// The same as events carry it.
    pub error: ModelError,
}

/// Why passing an answer on ended before its end.
#[derive(Debug, Error)]
pub enum Broken {
    /// Who asked does not listen any more.
    #[error("nobody listens any more")]
    Gone,
    /// The provider's side failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

#[derive(Deserialize)]
struct Envelope {
    error: ErrorBody,
}

impl ModelClient {
    /// Sends a request on, and returns when the head of the answer is there.
    ///
    /// # Errors
    /// Any [`ModelError`] of the transport; the provider's own refusal is no error.
    pub async fn forward(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Forwarded, ModelError> {
        let streamed = matches!(endpoint, Endpoint::Messages { streamed: true });
        let patience = if streamed {
            self.limits.idle_timeout
        } else {
            WHOLE_ANSWER
        };
        let request = self
            .client
            .post(&self.endpoint_for(endpoint))?
            .headers(self.headers_for(headers))
            .body(body)
            .send();
        let response = timeout(patience, request)
            .await
            .map_err(|_| ModelError::new(ModelErrorReason::Timeout))?
            .map_err(|error| ModelError::of_transport(&error))?;
        if !response.status().is_success() {
            return Ok(Forwarded::Refused(self.refused(response).await));
        }
        let limits = ModelLimits {
            idle_timeout: patience,
            line_bytes_max: if streamed {
                self.limits.line_bytes_max
            } else {
                self.limits.stream_bytes_max
            },
            ..self.limits
        };
        Ok(Forwarded::Answer(ForwardedAnswer {
            status: response.status().as_u16(),
            headers: coming_back(response.headers()),
            response,
            limits,
            endpoint,
        }))
    }

    fn endpoint_for(&self, endpoint: Endpoint) -> String {
        let messages = &self.endpoint;
        match endpoint {
            Endpoint::Messages { .. } => messages.clone(),
            Endpoint::CountTokens => match messages.split_once('?') {
                Some((path, query)) => format!("{path}/count_tokens?{query}"),
                None => format!("{messages}/count_tokens"),
            },
        }
    }

    /// What passes of the given headers, and the client's own, which win.
    fn headers_for(&self, given: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in OUT {
            for value in given.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            if !OUT.contains(name) || !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        headers
    }

    async fn refused(&self, response: Response) -> Refused {
        let status = response.status().as_u16();
        let headers = coming_back(response.headers());
        let retry_after = super::retry::retry_after(response.headers());
        let bytes = body::bounded_body(response, self.limits).await;
        let bytes = bytes.unwrap_or_default();
        let error = ModelError::of_response(status, retry_after, &bytes, &self.key);
        let body = match serde_json::from_slice::<Envelope>(&bytes) {
            Ok(Envelope { error: body })
                if error.reason != ModelErrorReason::Authentication && status >= 400 =>
            {
                ErrorBody {
                    kind: error::quote(&body.kind, &self.key),
                    message: error::quote(&body.message, &self.key),
                }
            }
            _ => ErrorBody {
                kind: error.reason.api_type().to_owned(),
                message: error.message.clone(),
            },
        };
        Refused {
            status: if status >= 400 { status } else { 502 },
            headers,
            body,
            error,
        }
    }
}

impl ForwardedAnswer {
    /// Passes every piece on as it comes, and reads along: `answer` knows at each moment what the
    /// pieces so far have said of model, tokens and end, also when this is dropped.
    ///
    /// # Errors
    /// [`Broken`]; what had come was passed on.
    pub async fn pass(
        self,
        answer: &mut Assembler,
        to: &mpsc::Sender<Result<Bytes, Broken>>,
    ) -> Result<(), Broken> {
        if body::is_event_stream(&self.response) {
            return self.pass_stream(answer, to).await;
        }
        let mut chunks = Box::pin(body::bounded(self.response, self.limits));
        let mut whole = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| Broken::Model(body::of_body(&error)))?;
            answer.begun = true;
            answer.output_bytes += chunk.len();
            whole.extend_from_slice(&chunk);
            to.send(Ok(chunk)).await.map_err(|_| Broken::Gone)?;
        }
        if self.endpoint == Endpoint::CountTokens {
            return Ok(());
        }
        *answer = Assembler::of_message(&whole)
            .ok_or_else(|| Broken::Model(ModelError::new(ModelErrorReason::Malformed)))?;
        Ok(())
    }

    async fn pass_stream(
        self,
        answer: &mut Assembler,
        to: &mpsc::Sender<Result<Bytes, Broken>>,
    ) -> Result<(), Broken> {
        let chunks = Box::pin(body::bounded(self.response, self.limits));
        let passed = stream::unfold(chunks, async |mut chunks| {
            let chunk = chunks.next().await?;
            let chunk = match chunk {
                Ok(chunk) => match to.send(Ok(chunk.clone())).await {
                    Ok(()) => Ok(chunk),
                    Err(_) => Err(BodyError::Gone),
                },
                Err(error) => Err(error),
            };
            Some((chunk, chunks))
        });
        let mut events = Box::pin(SseStream::from_bytes_stream(passed));
        while let Some(item) = events.next().await {
            let event = item.map_err(|error| broken(&error))?;
            let Some(event) = event.data.and_then(|data| body::parse(&data)) else {
                continue;
            };
            match event? {
                StreamEvent::Error { error } => {
                    let reason = ModelErrorReason::of_type(&error.kind);
                    let reason = reason.unwrap_or(ModelErrorReason::ServerError);
                    return Err(ModelError::new(reason).into());
                }
                event => answer.apply(event)?,
            };
        }
        match answer.stop_reason {
            Some(_) => Ok(()),
            None => Err(ModelError::new(ModelErrorReason::StreamCut).into()),
        }
    }
}

fn broken(error: &sse_stream::Error) -> Broken {
    match body::body_error(error) {
        Some(BodyError::Gone) => Broken::Gone,
        _ => Broken::Model(body::of_sse(error)),
    }
}

fn coming_back(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &str| BACK.contains(&name) || name.starts_with(BACK_PREFIX);
    let passing = headers.iter().filter(|(name, _)| passes(name.as_str()));
    passing
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
