//! Tokens and cookies: how they are made, what is stored of them, and whose they are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use membrane_entity::{api_token, runner_token};
use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    authz::{Credential, Principal, Runner},
    clock::{Clock, Millis},
    db::Database,
    error::Error,
    id::{ApiTokenId, RunnerTokenId, UserId, WorkspaceId},
};

/// What every token of runners begins with.
const RUNNER_PREFIX: &str = "mbr_";
const DAY: Millis = 24 * 3_600 * 1_000;
/// API tokens that one user may have.
const MAX_TOKENS: u64 = 100;
/// Longest life of an API token that ends.
const MAX_LIFETIME_DAYS: i32 = 3_650;
/// How long a browser stays signed in: 30 days.
pub const BROWSER_SESSION_LIFETIME: Millis = 30 * DAY;
/// How long a sign-in link works: ten minutes.
pub const LOGIN_LINK_LIFETIME: Millis = 10 * 60 * 1_000;
/// How exact "last used" of a token is: a minute, so that a busy script does not write all day.
const TOUCH_EVERY: Millis = 60 * 1_000;
/// Longest credential that is looked at, in bytes.
const MAX_CREDENTIAL: usize = 256;

/// A new secret of 256 random bits with a prefix that says what it is.
///
/// # Errors
/// [`Error::Internal`] when the system has no randomness.
pub fn new_secret(prefix: &str) -> Result<String, Error> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Internal("the system's random numbers failed".to_owned()))?;
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

/// Whether this is a secret of a kind that [`new_secret`] makes, by its prefix.
#[must_use]
pub fn is_ours(secret: &str) -> bool {
    let prefix = secret.as_bytes().get(..4);
    prefix.is_some_and(|prefix| prefix.starts_with(b"mb") && prefix[3] == b'_')
}

/// What is stored of a secret. SHA-256 suffices: the secrets are random, not chosen by people.
#[must_use]
pub fn digest_of(secret: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, secret.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

/// Makes an API token; the secret is in the answer and nowhere else. `lifetime_days` of 0 means
/// that it never ends.
///
/// # Errors
/// [`Error::Invalid`] for a bad lifetime, [`Error::Exhausted`] when the user has too many.
pub async fn new_api_token(
    database: &Database,
    user: UserId,
    name: String,
    lifetime_days: i32,
    now: Millis,
) -> Result<(api_token::Model, String), Error> {
    if !(0..=MAX_LIFETIME_DAYS).contains(&lifetime_days) {
        return Err(Error::invalid(
            "lifetime_days",
            format!("must be 0 to {MAX_LIFETIME_DAYS}"),
        ));
    }
    let secret = new_secret("mbt_")?;
    let row = api_token::Model {
        id: ApiTokenId::new().0,
        user_id: user.0,
        name,
        digest: digest_of(&secret).to_vec(),
        create_time: now,
        expire_time: (lifetime_days > 0).then(|| now + i64::from(lifetime_days) * DAY),
        last_use_time: None,
    };
    database.create_api_token(row.clone(), MAX_TOKENS).await?;
    Ok((row, secret))
}

/// Makes a token of runners; the secret is in the answer and nowhere else.
///
/// # Errors
/// [`Error::Exhausted`] when there are too many.
pub async fn new_runner_token(
    database: &Database,
    name: String,
    workspace: Option<WorkspaceId>,
    now: Millis,
) -> Result<(runner_token::Model, String), Error> {
    let secret = new_secret(RUNNER_PREFIX)?;
    let row = runner_token::Model {
        id: RunnerTokenId::new().0,
        name,
        digest: digest_of(&secret).to_vec(),
        workspace_id: workspace.map(|id| id.0),
        create_time: now,
        last_use_time: None,
    };
    database.create_runner_token(row.clone()).await?;
    Ok((row, secret))
}

/// Finds out who is calling. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticator {
    database: Database,
    clock: Clock,
    cookie: &'static str,
    touched: Arc<Mutex<HashMap<Uuid, Millis>>>,
}

impl Authenticator {
    /// An authenticator; `secure` says whether people come over https.
    #[must_use]
    pub fn new(database: Database, clock: Clock, secure: bool) -> Self {
        Self {
            database,
            clock,
            // The prefix makes browsers refuse the cookie unless it is Secure and host-only.
            cookie: if secure {
                "__Host-membrane"
            } else {
                "membrane"
            },
            touched: Arc::default(),
        }
    }

    /// The principal that these headers prove: `None` when they carry no credential.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when they carry one that is not valid.
    pub async fn principal(&self, headers: &HeaderMap) -> Result<Option<Principal>, Error> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer);
            return match token {
                Some(token) => self.principal_of_token(token).await.map(Some),
                None => Err(Error::Unauthenticated(
                    "the authorization header must be `Bearer <token>`",
                )),
            };
        }
        match self.cookie_of(headers) {
            Some(cookie) => self.principal_of_cookie(cookie).await,
            None => Ok(None),
        }
    }

    /// The runner that these headers prove: `None` when they carry no runner token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when they carry one that is not valid.
    pub async fn runner(&self, headers: &HeaderMap) -> Result<Option<Runner>, Error> {
        let value = headers.get(header::AUTHORIZATION);
        let token = value.and_then(|value| value.to_str().ok()).and_then(bearer);
        let Some(token) = token.filter(|token| token.starts_with(RUNNER_PREFIX)) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let found = match token.len() {
            0..=MAX_CREDENTIAL => self.database.runner_token(digest_of(token)).await?,
            _ => None,
        };
        let row = found.ok_or(Error::Unauthenticated("this runner token is not valid"))?;
        let id = RunnerTokenId(row.id);
        if self.should_touch(row.id, row.last_use_time, now) {
            self.database.touch_runner_token(id, now).await?;
        }
        Ok(Some(Runner {
            token: id,
            workspace: row.workspace_id.map(WorkspaceId),
        }))
    }

    async fn principal_of_token(&self, token: &str) -> Result<Principal, Error> {
        if token.starts_with(RUNNER_PREFIX) {
            return Err(Error::PermissionDenied(
                "a runner token opens the methods of runners only",
            ));
        }
        let now = self.clock.now();
        let found = if token.len() > MAX_CREDENTIAL {
            None
        } else {
            self.database
                .user_of_api_token(digest_of(token), now)
                .await?
        };
        let (user, row) = found.ok_or(Error::Unauthenticated("this API token is not valid"))?;
        if self.should_touch(row.id, row.last_use_time, now) {
            self.database
                .touch_api_token(ApiTokenId(row.id), now)
                .await?;
        }
        Ok(principal(user, Credential::ApiToken))
    }

    /// A stale cookie is like none: the browser is asked to sign in, not told off.
    async fn principal_of_cookie(&self, cookie: &str) -> Result<Option<Principal>, Error> {
        let user = self
            .database
            .user_of_browser_session(digest_of(cookie), self.clock.now())
            .await?;
        Ok(user.map(|user| principal(user, Credential::Browser)))
    }

    fn should_touch(&self, id: Uuid, stored: Option<Millis>, now: Millis) -> bool {
        let Ok(mut touched) = self.touched.lock() else {
            return false;
        };
        let last = touched.get(&id).copied().max(stored);
        let due = last.is_none_or(|last| now - last >= TOUCH_EVERY);
        if due {
            touched.insert(id, now);
        }
        due
    }

    /// This server's cookie among the request's, if it is there and of a sane length.
    #[must_use]
    pub fn cookie_of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, value)| *name == self.cookie && value.len() <= MAX_CREDENTIAL)
            .map(|(_, value)| value)
    }

    /// A sign-in link's token, as a secret that is stored only as a digest.
    ///
    /// # Errors
    /// The database's own.
    pub async fn create_login_token(&self, user: UserId) -> Result<SecretString, Error> {
        let token = new_secret("mbl_")?;
        let expire_time = self.clock.now() + LOGIN_LINK_LIFETIME;
        self.database
            .create_login_link(digest_of(&token), user, expire_time)
            .await?;
        Ok(token.into())
    }

    /// Exchanges a sign-in link's token for the value of a `Set-Cookie` header.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for a token that does not work (any more).
    pub async fn exchange(&self, token: &str) -> Result<String, Error> {
        let cookie = new_secret("")?;
        let now = self.clock.now();
        self.database
            .exchange_login_link(
                digest_of(token),
                digest_of(&cookie),
                now,
                now + BROWSER_SESSION_LIFETIME,
            )
            .await?;
        Ok(self.set_cookie(&cookie, BROWSER_SESSION_LIFETIME / 1_000))
    }

    /// Ends the browser session of these headers, and gives the `Set-Cookie` that clears it.
    ///
    /// # Errors
    /// The database's own.
    pub async fn sign_out(&self, headers: &HeaderMap) -> Result<String, Error> {
        if let Some(cookie) = self.cookie_of(headers) {
            self.database
                .delete_browser_session(digest_of(cookie))
                .await?;
        }
        Ok(self.set_cookie("", 0))
    }

    fn set_cookie(&self, value: &str, max_age_seconds: i64) -> String {
        let secure = if self.cookie.starts_with("__Host-") {
            "; Secure"
        } else {
            ""
        };
        format!(
            "{}={value}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Lax{secure}",
            self.cookie
        )
    }
}

fn principal(user: membrane_entity::user::Model, credential: Credential) -> Principal {
    Principal {
        user_id: UserId(user.id),
        user_name: user.name,
        administrator: user.administrator,
        credential,
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
