//! Where an object store is, and what opens it.

use std::{fmt, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// How long a request may take in all.
const REQUEST: Duration = Duration::from_secs(60);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How often, and for how long, a request is tried again.
const RETRIES: usize = 5;
const RETRYING: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where a bucket is. Showing it shows no key.
#[derive(Clone)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// What all names begin with; may be empty.
    pub prefix: String,
    /// The region; with an endpoint it matters for signatures only.
    pub region: String,
    /// The address of an S3-compatible store; Amazon's own if none.
    pub endpoint: Option<Url>,
    /// What opens it.
    pub keys: Keys,
}

/// What signs requests.
#[derive(Clone)]
pub struct Keys {
    /// Which key.
    pub id: SecretString,
    /// It.
    pub secret: SecretString,
    /// What goes with keys that hold for some time only.
    pub session: Option<SecretString>,
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.endpoint.as_ref().map(Url::as_str);
        formatter
            .debug_struct("Place")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("region", &self.region)
            .field("endpoint", &endpoint)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// All that must stay unsaid.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        [&self.id, &self.secret].into_iter().chain(&self.session)
    }
}

impl Place {
    /// A client of the store. Asks nothing of it yet.
    pub(super) fn client(&self) -> object_store::Result<AmazonS3> {
        let is_plain = |endpoint: &Url| endpoint.scheme() == "http";
        let plain = self.endpoint.as_ref().is_some_and(is_plain);
        let options = ClientOptions::new()
            .with_timeout(REQUEST)
            .with_connect_timeout(CONNECT)
            .with_allow_http(plain);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(self.keys.id.expose_secret())
            .with_secret_access_key(self.keys.secret.expose_secret())
            .with_client_options(options)
            .with_retry(retries());
        if let Some(token) = &self.keys.session {
            builder = builder.with_token(token.expose_secret());
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        builder.build()
    }
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: FIRST_PAUSE,
            max_backoff: LONGEST_PAUSE,
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: RETRYING,
    }
}
