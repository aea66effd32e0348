use membrane_migration::{Migrator, MigratorTrait as _};
use sea_orm::ConnectionTrait as _;

use super::{Database, OpenError};

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = Database::url_of(&directory.path().join("membrane.db"));
    let database = Database::open(&url).await.expect("opened");
    database
        .writer
        .execute_unprepared("INSERT INTO seaql_migrations VALUES ('m9999_from_the_future', 0)")
        .await
        .expect("pretended");
    database.close().await.expect("closed");
    match Database::open(&url).await {
        Err(OpenError::Newer(name)) => assert_eq!(name, "m9999_from_the_future"),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn opening_twice_migrates_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = Database::url_of(&directory.path().join("membrane.db"));
    let (first, second) = tokio::join!(Database::open(&url), Database::open(&url));
    let (first, _second) = (first.expect("opened"), second.expect("opened"));
    let applied = Migrator::get_migration_models(&first.writer)
        .await
        .expect("read");
    assert_eq!(applied.len(), Migrator::migrations().len());
}

#[tokio::test]
async fn a_third_database_is_refused() {
    let opened = Database::open("mysql://localhost/membrane").await;
    assert!(matches!(opened, Err(OpenError::Unsupported)));
}
