//! WorkspaceService.

use membrane_proto::v1 as proto;

use super::{Allowed, Method, Place, mask, one};

fn workspace_of(place: &Place) -> proto::Workspace {
    proto::Workspace {
        id: place.workspace.clone(),
        name: "renamed".to_owned(),
        ..Default::default()
    }
}

pub const METHODS: &[Method] = &[
    ("WorkspaceService/ListToolchains", Allowed::Users, |_| {
        one(proto::ListToolchainsRequest {})
    }),
    ("WorkspaceService/CreateWorkspace", Allowed::Users, |_| {
        one(proto::CreateWorkspaceRequest {
            name: "new".to_owned(),
            ..Default::default()
        })
    }),
    ("WorkspaceService/ImportWorkspace", Allowed::Users, |_| {
        use proto::import_workspace_request::Part;
        let header = proto::CreateWorkspaceRequest {
            name: "new".to_owned(),
            ..Default::default()
        };
        let parts = [Part::Header(header), Part::Chunk(EMPTY_ZIP.into())];
        parts
            .into_iter()
            .flat_map(|part| one(proto::ImportWorkspaceRequest { part: Some(part) }))
            .collect()
    }),
    ("WorkspaceService/GetWorkspace", Allowed::Viewers, |place| {
        one(proto::GetWorkspaceRequest {
            workspace_id: place.workspace.clone(),
        })
    }),
    ("WorkspaceService/ListWorkspaces", Allowed::Users, |_| {
        one(proto::ListWorkspacesRequest::default())
    }),
    (
        "WorkspaceService/UpdateWorkspace",
        Allowed::Editors,
        |place| {
            one(proto::UpdateWorkspaceRequest {
                workspace: Some(workspace_of(place)),
                update_mask: mask("name"),
                etag: String::new(),
            })
        },
    ),
    (
        "WorkspaceService/DeleteWorkspace",
        Allowed::Owners,
        |place| {
            one(proto::DeleteWorkspaceRequest {
                workspace_id: place.workspace.clone(),
                etag: String::new(),
            })
        },
    ),
    ("WorkspaceService/ListMembers", Allowed::Viewers, |place| {
        one(proto::ListMembersRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("WorkspaceService/SetMember", Allowed::Owners, |place| {
        one(proto::SetMemberRequest {
            workspace_id: place.workspace.clone(),
            user_id: place.victim.clone(),
            role: proto::Role::Viewer.into(),
        })
    }),
    ("WorkspaceService/RemoveMember", Allowed::Owners, |place| {
        one(proto::RemoveMemberRequest {
            workspace_id: place.workspace.clone(),
            user_id: place.victim.clone(),
        })
    }),
    (
        "WorkspaceService/ListProviderKeys",
        Allowed::Viewers,
        |place| {
            one(proto::ListProviderKeysRequest {
                workspace_id: place.workspace.clone(),
            })
        },
    ),
    (
        "WorkspaceService/SetProviderKey",
        Allowed::Owners,
        |place| {
            one(proto::SetProviderKeyRequest {
                workspace_id: place.workspace.clone(),
                provider: proto::Provider::Anthropic.into(),
                key: "a-key".to_owned(),
            })
        },
    ),
    (
        "WorkspaceService/DeleteProviderKey",
        Allowed::Owners,
        |place| {
            one(proto::DeleteProviderKeyRequest {
                workspace_id: place.workspace.clone(),
                provider: proto::Provider::Anthropic.into(),
            })
        },
    ),
    ("WorkspaceService/TestProvider", Allowed::Editors, |place| {
        one(proto::TestProviderRequest {
            workspace_id: place.workspace.clone(),
        })
    }),
];

/// An archive with nothing in it.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
