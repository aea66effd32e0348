//! Files that somebody puts beside a message: they are brought into the workspace at once, and go
//! with the message when it is sent.

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;
use send_wrapper::SendWrapper;
use web_sys::File;

use super::{
    send,
    uploads::{How, State, Upload},
};
use crate::{
    api::{self, ApiError},
    browser, path,
};

/// Where they are put.
const DIRECTORY: &str = "attachments";
/// Files of one message, as the server counts.
const MOST: usize = 10;
/// Images that a model is shown, and how large one may be, in bytes.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const LARGEST_IMAGE: f64 = 3_750_000.0;
/// How often another name is tried when one is taken.
const NAMES: u32 = 5;

/// A file beside a message.
#[derive(Clone)]
pub struct Attached {
    /// Tells it from others.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Size in bytes.
    pub size: i64,
    /// Whether it is an image that a model can be shown.
    pub is_image: bool,
    /// Where it is, or will be.
    pub path: ArcRwSignal<String>,
    /// How it is doing.
    pub state: ArcRwSignal<State>,
    file: SendWrapper<File>,
}

impl Attached {
    /// Whether it is in the workspace; tracked.
    pub fn is_there(&self) -> bool {
        self.state.with(|state| *state == State::Done)
    }
}

/// What goes with one message.
#[derive(Clone, Copy)]
pub struct Attachments {
    /// The workspace.
    pub workspace_id: StoredValue<String>,
    /// The files, in the order in which they came.
    pub list: RwSignal<Vec<Attached>>,
    /// Why some were not taken.
    pub problem: RwSignal<Option<ApiError>>,
    last_id: StoredValue<u32>,
}

impl Attachments {
    /// Begins with none.
    pub fn new(workspace_id: String) -> Self {
        Self {
            workspace_id: StoredValue::new(workspace_id),
            list: RwSignal::default(),
            problem: RwSignal::default(),
            last_id: StoredValue::default(),
        }
    }

    /// Takes files, and begins to bring them.
    pub fn add(self, files: Vec<File>) {
        self.problem.set(None);
        let room = MOST.saturating_sub(self.list.with_untracked(Vec::len));
        if files.len() > room {
            self.problem.set(Some(too_many(files.len() - room)));
        }
        for file in files.into_iter().take(room) {
            let one = self.attached(file);
            self.list.update(|list| list.push(one.clone()));
            self.begin(one);
        }
    }

    /// Tries one again.
    pub fn retry(self, one: &Attached) {
        self.begin(one.clone());
    }

    /// Takes one away. What was brought already goes to the trash of the workspace.
    pub fn remove(self, one: &Attached) {
        self.problem.set(None);
        self.list
            .update(|list| list.retain(|other| other.id != one.id));
        if one.state.with_untracked(|state| *state == State::Done) {
            let request = pb::DeleteFileRequest {
                workspace_id: self.workspace_id.get_value(),
                path: one.path.get_untracked(),
                etag: String::new(),
            };
            // If it stays, it is in nobody's way.
            spawn_local(async move { drop(api::files().delete_file(request).await) });
        }
        one.state.set(State::Cancelled);
    }

    /// Forgets all: they went with a message.
    pub fn clear(self) {
        self.list.try_set(Vec::new());
        self.problem.try_set(None);
    }

    /// Where they are; none unless all are there.
    pub fn paths(self) -> Option<Vec<String>> {
        self.list.with_untracked(|list| {
            let path = |one: &Attached| {
                let there = one.state.with_untracked(|state| *state == State::Done);
                there.then(|| one.path.get_untracked())
            };
            list.iter().map(path).collect()
        })
    }

    /// Why a message can not go yet, in a few words; tracked.
    pub fn hindrance(self) -> Option<&'static str> {
        self.list.with(|list| {
            let states = || list.iter().map(|one| one.state.get());
            let failed = |state: State| state.has_ended() && state != State::Done;
            if states().all(|state| state == State::Done) {
                None
            } else if states().any(failed) {
                Some("Remove the file that failed, or try it again")
            } else {
                Some("Uploading…")
            }
        })
    }

    fn attached(self, file: File) -> Attached {
        let id = self.last_id.get_value() + 1;
        self.last_id.set_value(id);
        let name = file.name();
        Attached {
            id,
            size: file.size() as i64,
            is_image: IMAGES.contains(&file.type_().as_str()),
            path: ArcRwSignal::new(place(&name, 0)),
            name,
            state: ArcRwSignal::new(State::Waiting(How::default())),
            file: SendWrapper::new(file),
        }
    }

    fn begin(self, one: Attached) {
        if one.is_image && one.file.size() > LARGEST_IMAGE {
            return one.state.set(State::Failed(too_large()));
        }
        let workspace_id = self.workspace_id.get_value();
        one.state.set(State::Sending(0));
        spawn_local(async move {
            let end = match bring(&workspace_id, &one).await {
                Ok(()) => State::Done,
                Err(error) => State::Failed(error),
            };
            if one.state.with_untracked(|state| *state != State::Cancelled) {
                one.state.set(end);
            }
        });
    }
}

/// Brings a file under the first name that is free.
async fn bring(workspace_id: &str, one: &Attached) -> Result<(), ApiError> {
    let mut attempt = 0;
    loop {
        let path = place(&one.name, attempt);
        one.path.set(path.clone());
        let upload = Upload {
            id: one.id,
            workspace_id: workspace_id.to_owned(),
            path,
            size: one.size,
            state: one.state.clone(),
            file: one.file.clone(),
        };
        match send::send(&upload, How::default()).await {
            Err(error) if send::is_taken(&error) && attempt < NAMES => attempt += 1,
            end => return end,
        }
    }
}

/// A place for what has this name; from the second attempt on with something random in it.
fn place(name: &str, attempt: u32) -> String {
    let name = match name.rsplit_once('.') {
        _ if attempt == 0 => name.to_owned(),
        Some((stem, ending)) if !stem.is_empty() => format!("{stem}-{}.{ending}", random()),
        _ => format!("{name}-{}", random()),
    };
    path::join(DIRECTORY, &path::spelled(&name))
}

fn random() -> String {
    browser::request_id().chars().take(6).collect()
}

fn too_many(over: usize) -> ApiError {
    let files = crate::format::count(over as i64, "file was", "files were");
    let words = format!("At most {MOST} files go with a message: {files} not taken.");
    ApiError::local("TOO_MANY_ATTACHMENTS", &words)
}

fn too_large() -> ApiError {
    ApiError::local(
        "IMAGE_TOO_LARGE",
        "An image for the agent has at most 3.75 MB. Make it smaller.",
    )
}
