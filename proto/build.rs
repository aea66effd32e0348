//! Compiles the proto files without protoc, and keeps the descriptor set for reflection.

#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "cargo and a build script talk through both"
)]

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 13] = [
    "membrane/v1/account.proto",
    "membrane/v1/activity.proto",
    "membrane/v1/change.proto",
    "membrane/v1/egress.proto",
    "membrane/v1/event.proto",
    "membrane/v1/file.proto",
    "membrane/v1/preview.proto",
    "membrane/v1/run.proto",
    "membrane/v1/schedule.proto",
    "membrane/v1/secret.proto",
    "membrane/v1/session.proto",
    "membrane/v1/snapshot.proto",
    "membrane/v1/workspace.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=membrane");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .client_mod_attribute("membrane.v1", "#[cfg(feature = \"client\")]")
        .server_mod_attribute("membrane.v1", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)?;
    Ok(())
}
