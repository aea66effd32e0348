//! Where runners are called.

use std::{ffi::OsString, fs};

use url::Url;

use super::{ConfigError, Given};
use crate::{credentials, dispatch::Endpoint};

/// Shortest token that runners are called with, in bytes.
const SHORTEST_TOKEN: usize = 16;

/// Where runners are called, and with what: the token of the file that is given, or of the variable.
///
/// # Errors
/// [`ConfigError::Dispatch`]; [`ConfigError::File`].
pub fn endpoint(
    given: &Given,
    variable: Option<OsString>,
) -> Result<Option<Endpoint>, ConfigError> {
    let Some(url) = &given.runner_dispatch_url else {
        return Ok(None);
    };
    let not_one = || ConfigError::Dispatch("must be an http or https address");
    let url = Url::parse(url).map_err(|_| not_one())?;
    let is_address = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_address {
        return Err(not_one());
    }
    let token = match &given.runner_invoke_token_file {
        Some(path) => {
            fs::read_to_string(path).map_err(|error| ConfigError::File(path.clone(), error))?
        }
        None => variable
            .and_then(|token| token.into_string().ok())
            .unwrap_or_default(),
    };
    let token = token.trim();
    if token.len() < SHORTEST_TOKEN || credentials::is_ours(token) {
        return Err(ConfigError::Dispatch(
            "needs an invoke token of at least 16 bytes, in MEMBRANE_RUNNER_INVOKE_TOKEN or its file, and none of this server's own tokens",
        ));
    }
    let token = token.to_owned().into();
    Ok(Some(Endpoint { url, token }))
}
