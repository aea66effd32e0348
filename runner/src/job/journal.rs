//! What a run has told and the server may not have stored yet, in a file: a process that is killed
//! loses none of it.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
};

use membrane_proto::v1::{AppendRunEventsRequest, EventPayload};
use prost::Message as _;

use crate::place::JobDir;

const NAME: &str = "events";
/// With nothing to keep, a file that is larger than this is emptied.
const LARGE: u64 = 8 << 20;

/// The journal of one attempt.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    length: u64,
}

impl Journal {
    /// An empty one.
    pub(super) fn begin(directory: &JobDir) -> io::Result<Self> {
        let file = directory.create(NAME)?;
        Ok(Self { file, length: 0 })
    }

    /// The one that an earlier process kept, and what is in it, each with its number.
    pub(super) fn resume(directory: &JobDir) -> io::Result<(Self, Vec<(i64, EventPayload)>)> {
        let mut file = directory.open(NAME)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let length = bytes.len() as u64;
        let mut rest = &bytes[..];
        let mut kept = Vec::new();
        // The last one may be cut off; whoever was killed had not said that it is kept.
        while let Ok(mut entry) = AppendRunEventsRequest::decode_length_delimited(&mut rest) {
            let Some(event) = entry.events.pop() else {
                break;
            };
            kept.push((entry.first_number, event));
        }
        Ok((Self { file, length }, kept))
    }

    /// Keeps an event.
    pub(super) fn keep(&mut self, number: i64, event: &EventPayload) -> io::Result<()> {
        let entry = AppendRunEventsRequest {
            lease: None,
            first_number: number,
            events: vec![event.clone()],
        };
        let bytes = entry.encode_length_delimited_to_vec();
        self.file.write_all(&bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// To be called when the server has stored everything.
    pub(super) fn all_stored(&mut self) -> io::Result<()> {
        if self.length > LARGE {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.length = 0;
        }
        Ok(())
    }
}
