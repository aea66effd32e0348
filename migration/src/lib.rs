//! The database schema, one file per migration. Knows no other crate of ours: models move on,
//! migrations must not.

use sea_orm_migration::{MigrationTrait, async_trait};
pub use sea_orm_migration::{MigratorTrait, SchemaManager};

mod m0001_spine;
mod m0002_changes;
mod m0003_egress;
mod m0004_secrets;
mod m0005_snapshots;
mod m0006_runs;
mod m0007_run_usage;
mod m0008_schedules;
mod m0009_servers;
mod m0010_repeating;
mod m0011_object_store;
mod m0012_by_agent;

/// All migrations in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_spine::Migration),
            Box::new(m0002_changes::Migration),
            Box::new(m0003_egress::Migration),
            Box::new(m0004_secrets::Migration),
            Box::new(m0005_snapshots::Migration),
            Box::new(m0006_runs::Migration),
            Box::new(m0007_run_usage::Migration),
            Box::new(m0008_schedules::Migration),
            Box::new(m0009_servers::Migration),
            Box::new(m0010_repeating::Migration),
            Box::new(m0011_object_store::Migration),
            Box::new(m0012_by_agent::Migration),
        ]
    }
}
