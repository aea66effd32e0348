//! The audit log: one row for each decision about something that changes something.

use membrane_entity::audit;
use sea_orm::{DbErr, EntityTrait as _, IntoActiveModel as _, QueryOrder as _};

use super::Database;

impl Database {
    /// Writes one row.
    ///
    /// # Errors
    /// The database's own.
    pub async fn insert_audit(&self, row: audit::Model) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        audit::Entity::insert(row.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await
    }

    /// All rows, oldest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn audit_rows(&self) -> Result<Vec<audit::Model>, DbErr> {
        audit::Entity::find()
            .order_by_asc(audit::Column::Id)
            .all(&self.reader)
            .await
    }
}
