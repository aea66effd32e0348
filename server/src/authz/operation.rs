//! What can be asked for, and what each needs. The whole policy on one page.

use super::Role;

/// What a principal must be for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Any user.
    User,
    /// A user in a browser: a stolen API token must not multiply.
    Interactive,
    /// An administrator.
    Administrator,
    /// At least this role in the workspace.
    Role(Role),
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Read one's own account.
    ReadAccount,
    /// List one's API tokens.
    ListApiTokens,
    /// Make an API token.
    CreateApiToken,
    /// Delete one's API token.
    DeleteApiToken,
    /// List the names of one's secrets.
    ListSecrets,
    /// Store, rotate or delete a secret of one's own.
    ManageSecrets,
    /// List all users.
    ListUsers,
    /// Create a user.
    CreateUser,
    /// Change a user.
    UpdateUser,
    /// List the named lists of hosts.
    ListEgressPresets,
    /// List the toolchains that are offered.
    ListToolchains,
    /// Create a workspace.
    CreateWorkspace,
    /// List one's workspaces.
    ListWorkspaces,
    /// Read a workspace, its members, and which keys it has.
    ReadWorkspace,
    /// Read what happened at a workspace's boundary.
    ReadActivity,
    /// Change name or settings.
    UpdateWorkspace,
    /// Delete a workspace.
    DeleteWorkspace,
    /// Add, change or remove members.
    ManageMembers,
    /// Remove oneself.
    LeaveWorkspace,
    /// Store or delete a provider's key.
    ManageProviderKeys,
    /// Spend a request on testing the provider.
    TestProvider,
    /// List and read files.
    ReadFiles,
    /// Write, move, copy, delete and restore files, and begin and finish uploads.
    ChangeFiles,
    /// Send the bytes of an upload that was begun, or ask how far it came.
    SendUpload,
    /// Delete for good what is in the trash.
    EmptyTrash,
    /// List, read and fetch snapshots.
    ReadSnapshots,
    /// Take, send, change and delete snapshots.
    ManageSnapshots,
    /// Make the files as they are in a snapshot.
    RestoreSnapshot,
    /// List and read runs and their events.
    ReadRuns,
    /// Queue a run.
    CreateRun,
    /// Cancel a run.
    CancelRun,
    /// Bring what a run made into its workspace.
    ApplyRun,
    /// Ask when a rule would fire.
    PreviewSchedule,
    /// List and read schedules.
    ReadSchedules,
    /// Create, change and delete schedules.
    ManageSchedules,
    /// List the tokens of runners.
    ListRunnerTokens,
    /// Make or delete tokens of runners.
    ManageRunnerTokens,
    /// Read sessions and their events.
    ReadSession,
    /// Create a session.
    CreateSession,
    /// Rename a session.
    UpdateSession,
    /// Delete a session.
    DeleteSession,
    /// Send a message.
    SendMessage,
    /// Stop a turn.
    InterruptSession,
    /// Answer a permission request.
    ResolvePermission,
}

impl Operation {
    /// What a principal must be for it.
    #[must_use]
    pub fn need(self) -> Need {
        match self {
            Self::ReadAccount
            | Self::ListApiTokens
            | Self::DeleteApiToken
            | Self::ListEgressPresets
            | Self::ListToolchains
            | Self::PreviewSchedule
            | Self::ListSecrets
            // A token may: what goes in can't be read back by whoever has stolen one.
            | Self::ManageSecrets
            | Self::CreateWorkspace
            | Self::ListWorkspaces => Need::User,
            Self::CreateApiToken => Need::Interactive,
            Self::ListUsers
            | Self::CreateUser
            | Self::UpdateUser
            | Self::ListRunnerTokens
            | Self::ManageRunnerTokens => Need::Administrator,
            Self::ReadWorkspace
            | Self::ReadActivity
            | Self::LeaveWorkspace
            | Self::ReadFiles
            | Self::ReadSnapshots
            | Self::ReadRuns
            | Self::ReadSchedules
            | Self::ReadSession => Need::Role(Role::Viewer),
            Self::UpdateWorkspace
            | Self::TestProvider
            | Self::ChangeFiles
            | Self::SendUpload
            | Self::EmptyTrash
            | Self::ManageSnapshots
            | Self::RestoreSnapshot
            | Self::CreateRun
            | Self::CancelRun
            | Self::ApplyRun
            | Self::ManageSchedules
            | Self::CreateSession
            | Self::UpdateSession
            | Self::DeleteSession
            | Self::SendMessage
            | Self::InterruptSession
            | Self::ResolvePermission => Need::Role(Role::Editor),
            Self::DeleteWorkspace | Self::ManageMembers | Self::ManageProviderKeys => {
                Need::Role(Role::Owner)
            }
        }
    }

    /// Whether it makes agents work, now or later. An agent that works because an agent wanted it may
    /// not, so that work does not multiply.
    #[must_use]
    pub fn starts_work(self) -> bool {
        matches!(
            self,
            Self::CreateRun | Self::ManageSchedules | Self::SendMessage
        )
    }

    /// Whether it changes something, or spends money, and so belongs in the audit log.
    #[must_use]
    pub fn changes_something(self) -> bool {
        !matches!(
            self,
            Self::ReadAccount
                | Self::ListApiTokens
                | Self::ListSecrets
                | Self::ListUsers
                | Self::ListEgressPresets
                | Self::ListToolchains
                | Self::ListWorkspaces
                | Self::ReadWorkspace
                | Self::ReadActivity
                | Self::ReadFiles
                | Self::ReadSnapshots
                | Self::ReadRuns
                | Self::PreviewSchedule
                | Self::ReadSchedules
                | Self::ListRunnerTokens
                // Beginning and finishing it is written down, not each piece.
                | Self::SendUpload
                | Self::ReadSession
        )
    }
}
