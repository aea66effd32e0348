use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use membrane_entity::{direct_provider_key, workspace};
use tempfile::TempDir;

use super::*;
use crate::db::RequestKey;

struct Fixture {
    database: Database,
    directory: TempDir,
}

const ANTHROPIC: Cell<'static> = Cell {
    table: "provider_keys",
    column: "sealed",
    row: "anthropic",
};

fn key(version: i32) -> String {
    let byte = u8::try_from(version).expect("small");
    format!("{version}:{}", BASE64_STANDARD.encode([byte; 32]))
}

fn keys(versions: &[i32]) -> String {
    let keys: Vec<String> = versions.iter().map(|version| key(*version)).collect();
    keys.join("\n")
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = Database::url_of(&directory.path().join("membrane.db"));
        let database = Database::open(&url).await.expect("a database");
        Self {
            database,
            directory,
        }
    }

    async fn vault(&self, versions: &[i32]) -> Result<Vault, VaultError> {
        let file = self.directory.path().join("none");
        Vault::open(
            Some(&keys(versions)),
            &file,
            &self.database,
            Clock::system(),
        )
        .await
    }

    async fn workspace(&self) -> WorkspaceId {
        let user = self.database.create_user("owner", false, 0).await;
        let row = workspace::Model {
            id: WorkspaceId::new().0,
            name: "one".to_owned(),
            settings: "{}".to_owned(),
            version: 1,
            create_time: 0,
            update_time: 0,
            max_concurrent_runs: 0,
        };
        let key = RequestKey {
            user_id: UserId(user.expect("a user").id),
            request_id: None,
            method: "CreateWorkspace",
        };
        let made = self.database.create_workspace(row, key).await;
        made.expect("a workspace")
    }

    async fn user(&self, name: &str) -> Owner {
        let made = self.database.create_user(name, false, 0).await;
        Owner::User(UserId(made.expect("a user").id))
    }
}

async fn sealed(vault: &Vault, owner: Owner) -> Sealed {
    let value = SecretString::from("the value");
    vault.seal(owner, ANTHROPIC, &value).await.expect("sealed")
}

async fn opens(vault: &Vault, owner: Owner, cell: Cell<'_>, sealed: &Sealed) -> bool {
    match vault.open_sealed(owner, cell, sealed).await {
        Ok(value) => value.expose_secret() == "the value",
        Err(VaultError::Sealed) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_value_opens_only_where_it_was_sealed() {
    let fixture = Fixture::new().await;
    let vault = fixture.vault(&[1]).await.expect("a vault");
    let (owner, other) = (fixture.user("one").await, fixture.user("other").await);
    let value = sealed(&vault, owner).await;
    assert!(opens(&vault, owner, ANTHROPIC, &value).await);
    let elsewhere = [
        Cell {
            table: "user_secrets",
            ..ANTHROPIC
        },
        Cell {
            column: "other",
            ..ANTHROPIC
        },
        Cell {
            row: "openrouter",
            ..ANTHROPIC
        },
    ];
    for cell in elsewhere {
        assert!(!opens(&vault, owner, cell, &value).await, "{cell:?}");
    }
    assert!(!opens(&vault, other, ANTHROPIC, &value).await);
    // Nor with the other's data key.
    let moved = Sealed {
        data_key_id: sealed(&vault, other).await.data_key_id,
        ..value
    };
    assert!(!opens(&vault, other, ANTHROPIC, &moved).await);
}

#[tokio::test]
async fn a_data_key_opens_only_for_its_owner() {
    let fixture = Fixture::new().await;
    let vault = fixture.vault(&[1]).await.expect("a vault");
    let owner = fixture.user("one").await;
    let row = vault.create_data_key(owner).await.expect("a key");
    assert!(unwrap(&vault.master(), &row).is_ok());
    let moved = [
        data_key::Model {
            id: Uuid::now_v7(),
            ..row.clone()
        },
        data_key::Model {
            user_id: Some(Uuid::now_v7()),
            ..row.clone()
        },
        data_key::Model {
            user_id: None,
            workspace_id: row.user_id,
            ..row.clone()
        },
    ];
    for row in moved {
        assert!(matches!(
            unwrap(&vault.master(), &row),
            Err(VaultError::Sealed)
        ));
    }
    // One owner has one, however often it is asked for.
    let again = vault.create_data_key(owner).await.expect("a key");
    assert_eq!(again, row);
}

#[tokio::test]
async fn a_place_with_an_empty_part_makes_no_key() {
    let fixture = Fixture::new().await;
    let vault = fixture.vault(&[1]).await.expect("a vault");
    let owner = fixture.user("one").await;
    let value = SecretString::from("the value");
    let nowhere = Cell {
        row: "",
        ..ANTHROPIC
    };
    let refused = vault.seal(owner, nowhere, &value).await;
    assert!(matches!(refused, Err(VaultError::Unbound)));
    assert_eq!(
        fixture.database.data_key_of(owner).await.expect("read"),
        None
    );
}

#[tokio::test]
async fn a_rotation_leaves_nothing_of_the_old_version() {
    let fixture = Fixture::new().await;
    let old = fixture.vault(&[1]).await.expect("a vault");
    let mut values = Vec::new();
    for number in 0..250 {
        let owner = fixture.user(&number.to_string()).await;
        values.push((owner, sealed(&old, owner).await));
    }
    let both = fixture.vault(&[2, 1]).await.expect("a vault");
    // A key that is only given has no effect.
    let later = fixture.user("later").await;
    values.push((later, sealed(&both, later).await));
    let used = fixture.database.master_versions().await.expect("read");
    assert_eq!(used, BTreeMap::from([(1, 251)]));

    let rotated = both.rotate().await.expect("rotated");
    assert_eq!((rotated.version, rotated.data_keys), (2, 251));
    assert!(!rotated.resumed);
    let used = fixture.database.master_versions().await.expect("read");
    assert_eq!(used, BTreeMap::from([(2, 251)]));
    let new = fixture
        .vault(&[2])
        .await
        .expect("the old key is not needed");
    for (owner, value) in &values {
        assert!(opens(&new, *owner, ANTHROPIC, value).await);
    }
    assert!(matches!(
        fixture.vault(&[1]).await,
        Err(VaultError::Wrong(2))
    ));
    // Once is enough, and the order of the keys changes nothing.
    assert_eq!(both.rotate().await.expect("nothing to do").data_keys, 0);
    let reversed = fixture.vault(&[1, 2]).await.expect("a vault");
    let newest = fixture.user("newest").await;
    sealed(&reversed, newest).await;
    let used = fixture.database.master_versions().await.expect("read");
    assert_eq!(used, BTreeMap::from([(2, 252)]));
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_finished_and_no_other_begins_before() {
    let fixture = Fixture::new().await;
    let vault = fixture.vault(&[1]).await.expect("a vault");
    let owner = fixture.user("one").await;
    let value = sealed(&vault, owner).await;
    let both = fixture.vault(&[2, 1]).await.expect("a vault");
    let check = sealed_check(both.master().get(2).expect("a key")).expect("sealed");
    let begun = fixture.database.begin_rotation(2, check, 0).await;
    assert_eq!(begun.expect("begun"), crate::db::RotationStart::Begun);

    let third = fixture.vault(&[3, 2, 1]).await.expect("a vault");
    assert!(matches!(
        third.rotate().await,
        Err(VaultError::RotationOpen(2))
    ));
    // Both are needed until it has ended.
    assert!(matches!(
        fixture.vault(&[1]).await,
        Err(VaultError::Wrong(2))
    ));
    assert!(matches!(
        fixture.vault(&[2]).await,
        Err(VaultError::Wrong(1))
    ));
    let rotated = both.rotate().await.expect("rotated");
    assert!(rotated.resumed && rotated.data_keys == 1);
    assert_eq!(third.rotate().await.expect("rotated").version, 3);
    assert!(opens(&third, owner, ANTHROPIC, &value).await);
}

#[tokio::test]
async fn another_key_of_the_same_version_is_refused() {
    let fixture = Fixture::new().await;
    fixture.vault(&[1]).await.expect("a vault");
    let other = format!("1:{}", BASE64_STANDARD.encode([9; 32]));
    let file = fixture.directory.path().join("none");
    let opened = Vault::open(Some(&other), &file, &fixture.database, Clock::system()).await;
    assert!(matches!(opened, Err(VaultError::Wrong(1))));
}

#[tokio::test]
async fn keys_sealed_by_a_master_key_are_sealed_anew_at_start_or_kept() {
    let fixture = Fixture::new().await;
    let vault = fixture.vault(&[1]).await.expect("a vault");
    let workspace = fixture.workspace().await;
    let scope = workspace.to_string();
    let bound = ANTHROPIC.within(&scope).bind().expect("bound");
    let master = vault.master();
    let direct = |provider: &str, sealed| direct_provider_key::Model {
        workspace_id: workspace.0,
        provider: provider.to_owned(),
        master_version: 1,
        sealed,
        create_time: 5,
        last_use_time: Some(6),
    };
    let good = master.get(1).expect("a key").seal(b"the value", &bound);
    let rows = [
        direct("anthropic", good.expect("sealed")),
        direct("openrouter", vec![7; 60]),
    ];
    for row in rows {
        let inserted = fixture.database.insert_direct_provider_key(row).await;
        inserted.expect("as an earlier version did");
    }

    let vault = fixture.vault(&[1]).await.expect("a vault");
    let row = fixture.database.provider_key(workspace, "anthropic").await;
    let row = row.expect("read").expect("sealed anew");
    assert_eq!((row.create_time, row.last_use_time), (5, Some(6)));
    let value = Sealed {
        data_key_id: row.data_key_id,
        bytes: row.sealed,
    };
    let owner = Owner::Workspace(workspace);
    assert!(opens(&vault, owner, ANTHROPIC, &value).await);
    // What does not open is not lost, and keeps the version that it may need.
    let left = fixture.database.direct_provider_keys().await.expect("read");
    assert_eq!(left.len(), 1);
    let both = fixture.vault(&[2, 1]).await.expect("a vault");
    assert!(matches!(
        both.rotate().await,
        Err(VaultError::Unreadable(1))
    ));
    let deleted = fixture
        .database
        .delete_provider_key(workspace, "openrouter");
    deleted.await.expect("deleted");
    assert!(both.rotate().await.expect("rotated").resumed);
    assert!(opens(&both, owner, ANTHROPIC, &value).await);
}
