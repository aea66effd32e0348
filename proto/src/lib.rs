//! The wire: messages of `membrane.v1`, and client and server stubs behind features. Generated
//! from `membrane/v1/*.proto`; knows nothing of any other crate, and compiles to wasm.

/// Version 1 of the API.
#[allow(clippy::large_enum_variant, clippy::doc_markdown)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/membrane.v1.rs"));
}

/// The encoded `FileDescriptorSet` of everything above, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
