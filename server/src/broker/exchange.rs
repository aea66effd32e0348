//! One request and its answer: reserved, sent on, passed back piece by piece, counted and told of.
//! It runs as a task of its own, since whoever asks may go away at any moment and must be counted
//! all the same.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use membrane_agent::{
    meter::{Measured, Reservation, Wanted},
    model::{Assembler, Broken, Endpoint, Forwarded, ModelError},
};
use membrane_proto::v1::{ErrorDetail, InsideRequest};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{Broker, body::Asked, refusal::Refusal};

/// Pieces of an answer that may wait for a slow reader. More make the provider wait.
const WAITING: usize = 16;

/// A request that may be sent on.
pub(super) struct Exchange {
    pub broker: Arc<Broker>,
    /// Under which the program was started.
    pub tool_call_id: Arc<str>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub asked: Asked,
    pub endpoint: Endpoint,
    /// Its place among the requests that are worked on.
    pub place: OwnedSemaphorePermit,
}

type Head = Result<(StatusCode, HeaderMap), Refusal>;
type Pieces = mpsc::Sender<Result<Bytes, Broken>>;

/// How an exchange ended.
enum End {
    /// The provider did not take the request.
    Refused(ModelError),
    /// The request failed before it was answered.
    Unanswered(ModelError),
    /// The answer is whole, or broke off.
    Answered(Result<(), Broken>),
}

impl Exchange {
    /// Begins the exchange and answers with the head of its answer as soon as it is there.
    ///
    /// # Errors
    /// A [`Refusal`], by the provider or by us.
    pub(super) async fn answer(self) -> Result<Response<Body>, Refusal> {
        let reservation = match self.endpoint {
            Endpoint::Messages { .. } => Some(self.reserve().await?),
            Endpoint::CountTokens => None,
        };
        let (head_to, head) = oneshot::channel();
        let (pieces_to, pieces) = mpsc::channel(WAITING);
        let tasks = self.broker.tasks.clone();
        tasks.spawn(self.run(reservation, head_to, pieces_to));
        let (status, headers) = head.await.map_err(|_| Refusal::ended())??;
        let mut response = Response::new(Body::from_stream(ReceiverStream::new(pieces)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    async fn reserve(&self) -> Result<Reservation, Refusal> {
        let Some(output_tokens) = self.asked.max_tokens else {
            return Err(Refusal::invalid("max_tokens: is required."));
        };
        let wanted = Wanted {
            model: &self.asked.model,
            input_tokens: self.asked.size.most_tokens(),
            likely_input_tokens: self.asked.size.likely_tokens(),
            output_tokens,
            least_output_tokens: output_tokens,
        };
        match self.broker.commission.meter.reserve(&wanted) {
            Ok(reservation) => Ok(reservation),
            Err(exceeded) => {
                self.broker.tell_of_limit(&exceeded).await;
                Err(Refusal::limit(&exceeded))
            }
        }
    }

    async fn run(
        mut self,
        reservation: Option<Reservation>,
        head: oneshot::Sender<Head>,
        pieces: Pieces,
    ) {
        let begun = Instant::now();
        let mut answer = Assembler::default();
        let broker = self.broker.clone();
        let end = tokio::select! {
            biased;
            () = broker.closed.cancelled() => End::Answered(Err(Broken::Gone)),
            // Before the reader's end: who has read everything may go.
            end = self.exchange(&mut answer, head, &pieces) => end,
            () = pieces.closed() => End::Answered(Err(Broken::Gone)),
        };
        if let Some(reservation) = reservation {
            let mut told = self.counted(&end, &answer, reservation);
            told.duration = begun.elapsed().try_into().ok();
            broker.tell_of_request(told).await;
        }
        if let End::Answered(Err(broken)) = end {
            // Whoever still reads must not take this for the end. Nobody may read any more.
            let _ = pieces.try_send(Err(broken));
        }
        drop(self.place);
    }

    async fn exchange(
        &mut self,
        answer: &mut Assembler,
        head: oneshot::Sender<Head>,
        pieces: &Pieces,
    ) -> End {
        let model = &self.broker.commission.model;
        let body = std::mem::take(&mut self.body);
        let forwarded = model.forward(self.endpoint, &self.headers, body).await;
        // Whoever asked may be gone, which the caller sees at the pieces.
        match forwarded {
            Err(error) => {
                let _ = head.send(Err(error.clone().into()));
                End::Unanswered(error)
            }
            Ok(Forwarded::Refused(refused)) => {
                let error = refused.error.clone();
                let _ = head.send(Err(refused.into()));
                End::Refused(error)
            }
            Ok(Forwarded::Answer(coming)) => {
                let status = StatusCode::from_u16(coming.status).unwrap_or(StatusCode::OK);
                let _ = head.send(Ok((status, coming.headers.clone())));
                End::Answered(coming.pass(answer, pieces).await)
            }
        }
    }

    /// Counts what was used, and says it.
    fn counted(&self, end: &End, answer: &Assembler, reservation: Reservation) -> InsideRequest {
        let error = match end {
            End::Refused(error) | End::Unanswered(error) => Some(error),
            End::Answered(Err(Broken::Model(error))) => Some(error),
            End::Answered(Ok(()) | Err(Broken::Gone)) => None,
        };
        let told = InsideRequest {
            model: self.asked.model.clone(),
            tool_call_id: self.tool_call_id.to_string(),
            error: error.map(ModelError::detail),
            ..InsideRequest::default()
        };
        let free = match end {
            End::Refused(_) => true,
            End::Unanswered(error) => !error.reason.may_have_cost(),
            End::Answered(_) => false,
        };
        if free {
            reservation.release();
            return told;
        }
        let measured = Measured::of(answer, &self.asked.model, &reservation);
        reservation.settle(&measured.usage);
        InsideRequest {
            model: measured.model,
            usage: Some(measured.usage),
            stop_reason: stop_reason(answer, told.error.as_ref()),
            estimated: measured.estimated,
            ..told
        }
    }
}

fn stop_reason(answer: &Assembler, error: Option<&ErrorDetail>) -> String {
    match (&answer.stop_reason, error) {
        (Some(reason), _) => reason.clone(),
        (None, Some(_)) => "error".to_owned(),
        (None, None) => "interrupted".to_owned(),
    }
}
