//! How much one tool call sends and receives, and a connection that counts, ends when it may take
//! no more, and when nothing moves on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use membrane_proto::v1::EgressLimit;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::EgressLimits;

/// Bytes of one call, and of the turn it belongs to.
#[derive(Debug)]
pub(super) struct Meter {
    sent: AtomicU64,
    received: AtomicU64,
    turn: Arc<AtomicU64>,
    limits: EgressLimits,
}

impl Meter {
    pub(super) fn new(turn: Arc<AtomicU64>, limits: EgressLimits) -> Self {
        Self {
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            turn,
            limits,
        }
    }

    /// Bytes that went out.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes that came in.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The limit that is used up.
    pub(super) fn exceeded(&self) -> Option<EgressLimit> {
        let call = self.sent().saturating_add(self.received());
        if call > self.limits.call_bytes {
            return Some(EgressLimit::CallBytes);
        }
        let turn = self.turn.load(Ordering::Relaxed);
        (turn > self.limits.turn_bytes).then_some(EgressLimit::TurnBytes)
    }

    fn count(&self, counter: &AtomicU64, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        counter.fetch_add(bytes, Ordering::Relaxed);
        self.turn.fetch_add(bytes, Ordering::Relaxed);
        match self.exceeded() {
            Some(_) => Err(io::Error::other("the limit of bytes is used up")),
            None => Ok(()),
        }
    }
}

/// A connection to the outside.
#[derive(Debug)]
pub(super) struct Metered {
    stream: TcpStream,
    meter: Arc<Meter>,
    idle: Pin<Box<Sleep>>,
    idle_time: Duration,
}

impl Metered {
    pub(super) fn new(stream: TcpStream, meter: Arc<Meter>) -> Self {
        let idle_time = meter.limits.idle_time;
        Self {
            stream,
            meter,
            idle: Box::pin(sleep(idle_time)),
            idle_time,
        }
    }

    fn moved(&mut self) {
        let until = Instant::now() + self.idle_time;
        self.idle.as_mut().reset(until);
    }

    /// Whoever waits for bytes waits for their being late as well.
    fn pending<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.idle.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                self.moved();
                let meter = &self.meter;
                Poll::Ready(meter.count(&meter.received, buffer.filled().len() - before))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.pending(context),
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(length)) => {
                self.moved();
                let meter = &self.meter;
                Poll::Ready(meter.count(&meter.sent, length).map(|()| length))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.pending(context),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
