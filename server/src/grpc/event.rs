//! EventService.

use std::{collections::HashSet, pin::Pin};

use http::HeaderMap;
use membrane_files::TreePath;
use membrane_proto::v1::{self as proto, event_service_server::EventService};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

use super::{Answer, answer, principal};
use crate::{
    authz::{Operation, Permit, Principal, Resource},
    error::Error,
    events::{Wanted, Watched, Watcher},
    files::parse_path,
    id::{RunId, SessionId},
    server::App,
};

/// Streams and directories of one watch.
const MAX_WATCHED: usize = 64;
const DEFAULT_PAGE: u64 = 100;
const MAX_PAGE: u64 = 1_000;

pub struct Service(pub App);

#[tonic::async_trait]
impl EventService for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<proto::WatchResponse, Status>> + Send>>;

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Answer<proto::ListEventsResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn watch(&self, request: Request<proto::WatchRequest>) -> Answer<Self::WatchStream> {
        let caller = principal(&request);
        let headers = request.metadata().clone().into_headers();
        let responses = self.follow(caller, headers, request.into_inner()).await?;
        Ok(Response::new(Box::pin(responses)))
    }
}

impl Service {
    async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListEventsRequest,
    ) -> Result<proto::ListEventsResponse, Error> {
        self.permit(caller.as_ref(), &request.stream).await?;
        let size = match u64::try_from(request.page_size) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) => size.min(MAX_PAGE),
            Err(_) => return Err(Error::invalid("page_size", "must not be negative")),
        };
        let (after, before) = (request.after_sequence, request.before_sequence);
        if after < 0 || before < 0 || (after > 0 && before > 0) {
            return Err(Error::invalid(
                "before_sequence",
                "give either after_sequence or before_sequence, not negative",
            ));
        }
        let database = &self.0.database;
        let mut events = if before > 0 {
            database
                .events_before(&request.stream, before, size + 1)
                .await?
        } else {
            database
                .events_after(&request.stream, after, size + 1)
                .await?
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let has_more = events.len() > size;
        if has_more && before > 0 {
            events.remove(0);
        }
        events.truncate(size);
        Ok(proto::ListEventsResponse {
            events,
            has_more,
            last_sequence: database.last_sequence(&request.stream).await?,
        })
    }

    async fn follow(
        &self,
        caller: Option<Principal>,
        headers: HeaderMap,
        request: proto::WatchRequest,
    ) -> Result<impl Stream<Item = Result<proto::WatchResponse, Status>> + Send + 'static, Error>
    {
        check_count(&request)?;
        let mut wanted = Wanted {
            streams: check_cursors(request.cursors)?,
            directories: Vec::new(),
        };
        let mut user = None;
        for (stream, after) in &wanted.streams {
            let permit = self.permit(caller.as_ref(), stream).await?;
            if *after > self.0.database.last_sequence(stream).await? {
                return Err(Error::NotFound("cursor"));
            }
            user = Some(permit.user_id());
        }
        for (workspace_id, path) in check_directories(request.directories)? {
            let permit = self.permit_files(caller.as_ref(), &workspace_id).await?;
            user = Some(permit.user_id());
            wanted.directories.push((permit.workspace, path));
        }
        let user = user.ok_or(Error::NotFound("stream"))?;
        let watcher = Watcher {
            database: self.0.database.clone(),
            log: self.0.log.clone(),
            files: self.0.files.clone(),
            notices: self.0.notices.clone(),
            clock: self.0.clock.clone(),
            watchers: self.0.watchers.clone(),
            stopping: self.0.stopping.clone(),
        };
        let service = Self(self.0.clone());
        let responses = watcher.watch(user, wanted, move |watched| {
            let service = Self(service.0.clone());
            let headers = headers.clone();
            async move { service.may_still_read(&headers, &watched).await }
        })?;
        Ok(ReceiverStream::new(responses).map(Ok))
    }

    /// Asks again who is calling, since a token may be gone by now.
    async fn may_still_read(&self, headers: &HeaderMap, watched: &Watched) -> bool {
        match self.permit_again(headers, watched).await {
            Ok(_) => true,
            // The database being away for a moment takes nobody's rights.
            Err(Error::Database(_) | Error::Unavailable(_)) => true,
            Err(_) => false,
        }
    }

    async fn permit_again(&self, headers: &HeaderMap, watched: &Watched) -> Result<Permit, Error> {
        let caller = self.0.authenticator.principal(headers).await?;
        match watched {
            Watched::Stream(stream) => self.permit(caller.as_ref(), stream).await,
            Watched::Directory(workspace, _) => {
                self.permit_files(caller.as_ref(), &workspace.to_string())
                    .await
            }
        }
    }

    async fn permit_files(
        &self,
        caller: Option<&Principal>,
        workspace_id: &str,
    ) -> Result<Permit, Error> {
        self.0
            .permit_in(caller, Operation::ReadFiles, workspace_id)
            .await
    }

    async fn permit(&self, caller: Option<&Principal>, stream: &str) -> Result<Permit, Error> {
        if caller.is_none() {
            return self
                .0
                .authority
                .permit(None, Operation::ReadSession, Resource::Server)
                .await;
        }
        let (operation, resource) = match RunId::from_stream(stream) {
            Some(id) => (Operation::ReadRuns, Resource::Run(id)),
            None => {
                let id = SessionId::from_stream(stream).ok_or(Error::NotFound("session"))?;
                (Operation::ReadSession, Resource::Session(id))
            }
        };
        self.0.authority.permit(caller, operation, resource).await
    }
}

fn check_count(request: &proto::WatchRequest) -> Result<(), Error> {
    let count = request.cursors.len() + request.directories.len();
    if !(1..=MAX_WATCHED).contains(&count) {
        return Err(Error::invalid(
            "cursors",
            format!("must have, together with the directories, 1 to {MAX_WATCHED} entries"),
        ));
    }
    Ok(())
}

fn check_cursors(cursors: Vec<proto::StreamCursor>) -> Result<Vec<(String, i64)>, Error> {
    let mut names = HashSet::new();
    let mut streams = Vec::with_capacity(cursors.len());
    for (index, cursor) in cursors.into_iter().enumerate() {
        if cursor.after_sequence < 0 {
            return Err(Error::invalid(
                format!("cursors[{index}].after_sequence"),
                "must not be negative",
            ));
        }
        if !names.insert(cursor.stream.clone()) {
            return Err(Error::invalid(
                format!("cursors[{index}].stream"),
                "names a stream a second time",
            ));
        }
        streams.push((cursor.stream, cursor.after_sequence));
    }
    Ok(streams)
}

fn check_directories(
    directories: Vec<proto::WatchedDirectory>,
) -> Result<Vec<(String, TreePath)>, Error> {
    let mut seen = HashSet::new();
    let mut checked = Vec::with_capacity(directories.len());
    for (index, directory) in directories.into_iter().enumerate() {
        let field = format!("directories[{index}].path");
        let path = parse_path(&field, &directory.path)?;
        let watched = (directory.workspace_id, path);
        if !seen.insert(watched.clone()) {
            return Err(Error::invalid(field, "names a directory a second time"));
        }
        checked.push(watched);
    }
    Ok(checked)
}
