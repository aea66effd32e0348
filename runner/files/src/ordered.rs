//! Work on several threads whose results come out in the order in which it went in, with few
//! pieces of it on their way at any time.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder, Scope};

/// More threads than this help no disk.
const MAX_THREADS: usize = 8;

/// Threads that work in a scope. They end when this is dropped.
pub(crate) struct Ordered<J, R> {
    jobs: SyncSender<(J, SyncSender<R>)>,
    /// Results that are to come, oldest first.
    pending: VecDeque<Receiver<R>>,
    window: usize,
}

impl<J: Send, R: Send> Ordered<J, R> {
    /// Starts one thread for each core, each with a worker of its own. At most `pieces` for each of
    /// them are on their way at any time.
    ///
    /// # Errors
    /// When a thread can't be started.
    pub(crate) fn start<'scope, W>(
        scope: &'scope Scope<'scope, '_>,
        pieces: usize,
        worker: impl Fn() -> W,
    ) -> io::Result<Self>
    where
        J: 'scope,
        R: 'scope,
        W: FnMut(J) -> R + Send + 'scope,
    {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.min(MAX_THREADS);
        let window = threads * pieces;
        let (jobs, waiting) = sync_channel::<(J, SyncSender<R>)>(window);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let (waiting, mut work) = (Arc::clone(&waiting), worker());
            let builder = Builder::new().name("membrane-files".to_owned());
            builder.spawn_scoped(scope, move || {
                while let Some((job, result)) = next(&waiting) {
                    // Whoever does not want it any more has failed otherwise.
                    let _ = result.send(work(job));
                }
            })?;
        }
        Ok(Self {
            jobs,
            pending: VecDeque::with_capacity(window),
            window,
        })
    }

    /// Waits for the oldest result if as many pieces are on their way as may be. To be called before
    /// each [`Self::push`].
    pub(crate) fn make_room(&mut self) -> Option<R> {
        match self.pending.len() < self.window {
            true => None,
            false => self.next(),
        }
    }

    /// Hands a piece in.
    pub(crate) fn push(&mut self, job: J) {
        let (result, received) = sync_channel(1);
        // Threads end only after this does.
        let _ = self.jobs.send((job, result));
        self.pending.push_back(received);
    }

    /// Waits for the oldest result that has not been taken; none if all were. A worker that
    /// panicked leaves none either, and its scope panics in turn.
    pub(crate) fn next(&mut self) -> Option<R> {
        self.pending.pop_front()?.recv().ok()
    }
}

fn next<J>(waiting: &Mutex<Receiver<J>>) -> Option<J> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::Ordered;
    use std::thread;

    #[test]
    fn results_come_in_the_order_of_the_work_and_few_are_on_their_way() {
        let mut most = 0;
        thread::scope(|scope| {
            let mut ordered = Ordered::start(scope, 4, || {
                |number: usize| {
                    // Later pieces are done sooner.
                    (0..(1000 - number) * 50).for_each(|_| std::hint::spin_loop());
                    number
                }
            })
            .expect("threads");
            let mut results = Vec::new();
            for number in 0..1000 {
                results.extend(ordered.make_room());
                ordered.push(number);
                most = most.max(number + 1 - results.len());
            }
            results.extend(std::iter::from_fn(|| ordered.next()));
            assert_eq!(results, Vec::from_iter(0..1000));
        });
        assert!(most <= super::MAX_THREADS * 4);
    }
}
