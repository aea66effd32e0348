//! Calling a method by its name with bytes, for tests that go through all of them.

use bytes::{Buf as _, BufMut as _, Bytes};
use membrane_proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::fixture::Caller;

/// Passes messages through as bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }
}

/// Every method of `membrane.v1`, as a path.
pub fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let ours = files
        .file
        .into_iter()
        .filter(|file| file.package() == "membrane.v1");
    ours.flat_map(|file| file.service)
        .flat_map(|service| {
            let name = service.name().to_owned();
            let paths = service
                .method
                .into_iter()
                .map(move |method| format!("/membrane.v1.{name}/{}", method.name()));
            paths.collect::<Vec<_>>()
        })
        .collect()
}

/// Calls a method of any kind with these messages, and answers its first message.
pub async fn call(caller: &Caller, method: &str, messages: Vec<Bytes>) -> Result<Bytes, Status> {
    let mut grpc = Grpc::new(caller.service());
    grpc.ready()
        .await
        .map_err(|error| Status::unknown(error.to_string()))?;
    let path = method.parse().expect("a path");
    let request = Request::new(tokio_stream::iter(messages));
    let mut answers = grpc.streaming(request, path, Raw).await?.into_inner();
    answers
        .message()
        .await?
        .ok_or_else(|| Status::unknown("no message in the answer"))
}
