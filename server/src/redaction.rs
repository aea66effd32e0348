//! Which secrets are masked where. A session masks the keys of its workspace, the secrets of
//! everybody who may work there, and what it is told of on the way, such as its own tokens. The log
//! masks all of that, for as long as this process has it in hand.

use std::{
    fmt, io,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak},
};

use membrane_agent::redact::{Known, MASK, Redactor};
use regex::bytes::{NoExpand, Regex};
use secrecy::SecretString;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    db::Database,
    error::Error,
    id::{UserId, WorkspaceId},
    providers::Providers,
    secrets::Secrets,
};

/// Credentials of ours, by their prefixes: what is stored of them is a digest, so that nobody can
/// know them all.
static CREDENTIALS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("mb[a-z]_[A-Za-z0-9_-]{40,}").ok());

/// What masks a session.
pub struct Redaction {
    workspace: WorkspaceId,
    users: Vec<UserId>,
    redactor: Redactor,
    logs: Redactor,
    known: Mutex<Vec<Known>>,
}

impl fmt::Debug for Redaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redaction").finish_non_exhaustive()
    }
}

impl Redaction {
    /// Masks this from now on, here and in the log, as long as the session's turn lasts.
    pub fn add(&self, secret: &SecretString) {
        let known = [&self.redactor, &self.logs].map(|redactor| redactor.know(secret));
        lock(&self.known).extend(known);
    }

    /// What masks text and events.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}

/// Makes what masks sessions, and keeps it up to date. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Redactions {
    database: Database,
    providers: Providers,
    secrets: Secrets,
    logs: Redactor,
    live: Arc<Mutex<Vec<Weak<Redaction>>>>,
}

impl Redactions {
    /// Redactions of these keys and secrets; `logs` masks the log.
    #[must_use]
    pub fn new(database: Database, providers: Providers, secrets: Secrets, logs: Redactor) -> Self {
        Self {
            database,
            providers,
            secrets,
            logs,
            live: Arc::default(),
        }
    }

    /// What masks a session in this workspace. It learns what is stored while it lives.
    ///
    /// # Errors
    /// The database's own.
    pub async fn in_workspace(&self, workspace: WorkspaceId) -> Result<Arc<Redaction>, Error> {
        let users = self.database.workers(workspace).await?;
        let redaction = Arc::new(Redaction {
            workspace,
            users,
            redactor: Redactor::default(),
            logs: self.logs.clone(),
            known: Mutex::default(),
        });
        // Before anything is read, so that what is stored meanwhile is not missed.
        self.live().push(Arc::downgrade(&redaction));
        self.read(&redaction).await?;
        Ok(redaction)
    }

    /// Reads what masks every live session again: another server has stored something.
    ///
    /// # Errors
    /// The database's own.
    pub async fn read_again(&self) -> Result<(), Error> {
        let live: Vec<_> = self.live().iter().filter_map(Weak::upgrade).collect();
        for redaction in live {
            self.read(&redaction).await?;
        }
        Ok(())
    }

    async fn read(&self, redaction: &Redaction) -> Result<(), Error> {
        for key in self.providers.open_keys(redaction.workspace).await? {
            redaction.add(&key);
        }
        for value in self.secrets.open_all(&redaction.users).await? {
            redaction.add(&value);
        }
        Ok(())
    }

    /// Masks a value in the log as long as the answer lives.
    #[must_use]
    pub fn hold(&self, secret: &SecretString) -> Known {
        self.logs.know(secret)
    }

    /// Tells the sessions of a user's workspaces of a secret that was stored just now.
    pub fn learn_of_user(&self, user: UserId, secret: &SecretString) {
        self.learn(secret, |redaction| redaction.users.contains(&user));
    }

    /// Tells the sessions of a workspace of a key that was stored just now.
    pub fn learn_of_workspace(&self, workspace: WorkspaceId, secret: &SecretString) {
        self.learn(secret, |redaction| redaction.workspace == workspace);
    }

    fn learn(&self, secret: &SecretString, concerned: impl Fn(&Redaction) -> bool) {
        let live: Vec<_> = self.live().iter().filter_map(Weak::upgrade).collect();
        for redaction in live.iter().filter(|redaction| concerned(redaction)) {
            redaction.add(secret);
        }
    }

    fn live(&self) -> MutexGuard<'_, Vec<Weak<Redaction>>> {
        let mut live = lock(&self.live);
        live.retain(|redaction| redaction.strong_count() > 0);
        live
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is a single call, so a panic elsewhere leaves the value whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where log lines go, masked. Each line comes in one piece.
#[derive(Debug, Clone)]
pub struct MaskedLog<M> {
    redactor: Redactor,
    inner: M,
}

impl<M> MaskedLog<M> {
    /// Masks for this writer.
    pub fn new(redactor: Redactor, inner: M) -> Self {
        Self { redactor, inner }
    }
}

impl<'writer, M: MakeWriter<'writer>> MakeWriter<'writer> for MaskedLog<M> {
    type Writer = MaskedLine<M::Writer>;

    fn make_writer(&'writer self) -> Self::Writer {
        MaskedLine {
            redactor: self.redactor.clone(),
            inner: self.inner.make_writer(),
        }
    }
}

/// Writes one line.
#[derive(Debug)]
pub struct MaskedLine<W> {
    redactor: Redactor,
    inner: W,
}

impl<W: io::Write> io::Write for MaskedLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut stream = self.redactor.stream();
        let mut masked = stream.push_bytes(line);
        masked.extend(stream.finish_bytes());
        let masked = match &*CREDENTIALS {
            Some(credentials) => credentials.replace_all(&masked, NoExpand(MASK.as_bytes())),
            None => masked.into(),
        };
        self.inner.write_all(&masked)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn written(line: &str) -> String {
        let redactor = Redactor::default();
        let _known = redactor.know(&SecretString::from("canary-5b1c"));
        let mut out = Vec::new();
        let mut writer = MaskedLine {
            redactor,
            inner: &mut out,
        };
        writer.write_all(line.as_bytes()).expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_line_is_masked_whatever_it_says() {
        assert_eq!(written("key=canary-5b1c\n"), format!("key={MASK}\n"));
        assert_eq!(written("63616e6172792d35623163\n"), format!("{MASK}\n"));
        assert_eq!(written("nothing\n"), "nothing\n");
    }

    #[test]
    fn credentials_of_ours_are_masked_though_nobody_knows_them() {
        let token = crate::credentials::new_secret("mbt_").expect("a secret");
        assert_eq!(
            written(&format!("Bearer {token}\n")),
            format!("Bearer {MASK}\n")
        );
    }
}
