//! Where the contents of snapshots are kept.

use std::ffi::OsString;

use secrecy::SecretString;
use url::Url;
use zeroize::Zeroizing;

use super::ConfigError;
use crate::objects::{Keys, Place};

/// The region of stores that have none.
const ANY_REGION: &str = "us-east-1";

/// The object store that was given; none where snapshots are kept in files. `variable` reads the
/// environment, whose names are those of every program that knows such stores.
///
/// # Errors
/// [`ConfigError::BlobStore`].
pub fn place(
    given: Option<&str>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Place>, ConfigError> {
    let given = given.unwrap_or("file:");
    if given == "file:" {
        return Ok(None);
    }
    let (bucket, prefix) = bucket(given).ok_or(ConfigError::BlobStore(
        "must be file: or s3://<bucket> with a prefix of your choice",
    ))?;
    let text = |name: &str| {
        let value = variable(name)?.into_string().ok();
        value.filter(|value| !value.is_empty())
    };
    let secret = |name: &str| {
        let value = Zeroizing::new(text(name)?);
        Some(SecretString::from(value.as_str().to_owned()))
    };
    let endpoint = match text("AWS_ENDPOINT_URL_S3").or_else(|| text("AWS_ENDPOINT_URL")) {
        Some(endpoint) => Some(address(&endpoint)?),
        None => None,
    };
    let region = text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION"));
    let region = region.or_else(|| endpoint.is_some().then(|| ANY_REGION.to_owned()));
    let (Some(id), Some(key)) = (secret("AWS_ACCESS_KEY_ID"), secret("AWS_SECRET_ACCESS_KEY"))
    else {
        return Err(ConfigError::BlobStore(
            "needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ));
    };
    Ok(Some(Place {
        bucket,
        prefix,
        region: region.ok_or(ConfigError::BlobStore(
            "needs AWS_REGION, or AWS_ENDPOINT_URL for a store that is not Amazon's",
        ))?,
        endpoint,
        keys: Keys {
            id,
            secret: key,
            session: secret("AWS_SESSION_TOKEN"),
        },
    }))
}

/// Bucket and prefix of an address; nothing for one that has anything else.
fn bucket(given: &str) -> Option<(String, String)> {
    let url = Url::parse(given).ok()?;
    let is_place = url.scheme() == "s3"
        && url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let bucket = url
        .host_str()
        .filter(|bucket| is_place && !bucket.is_empty())?;
    Some((bucket.to_owned(), url.path().trim_matches('/').to_owned()))
}

fn address(endpoint: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(endpoint).ok();
    let is_address = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
    };
    url.filter(is_address).ok_or(ConfigError::BlobStore(
        "needs an AWS_ENDPOINT_URL that is an http or https address",
    ))
}
