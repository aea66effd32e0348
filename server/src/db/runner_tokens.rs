//! Rows of runners' tokens.

use membrane_entity::runner_token;
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::Expr,
};

use super::{Database, serialise};
use crate::{clock::Millis, error::Error, id::RunnerTokenId};

/// Most tokens of a server.
const MAX_TOKENS: u64 = 1_000;

impl Database {
    /// Stores a token of runners.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when there are too many.
    pub async fn create_runner_token(&self, row: runner_token::Model) -> Result<(), Error> {
        let transaction = self.begin().await?;
        serialise(&transaction, "runner tokens").await?;
        if runner_token::Entity::find().count(&transaction).await? >= MAX_TOKENS {
            return Err(Error::Exhausted {
                reason: "TOO_MANY_TOKENS",
                message: format!("there can be at most {MAX_TOKENS} runner tokens; delete some"),
            });
        }
        runner_token::Entity::insert(row.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// All tokens of runners, the latest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn runner_tokens(&self) -> Result<Vec<runner_token::Model>, DbErr> {
        runner_token::Entity::find()
            .order_by_desc(runner_token::Column::CreateTime)
            .order_by_desc(runner_token::Column::Id)
            .limit(MAX_TOKENS)
            .all(&self.reader)
            .await
    }

    /// The token with this digest.
    ///
    /// # Errors
    /// The database's own.
    pub async fn runner_token(
        &self,
        digest: [u8; 32],
    ) -> Result<Option<runner_token::Model>, DbErr> {
        runner_token::Entity::find()
            .filter(runner_token::Column::Digest.eq(digest.to_vec()))
            .one(&self.reader)
            .await
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    /// The database's own.
    pub async fn touch_runner_token(&self, id: RunnerTokenId, now: Millis) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        runner_token::Entity::update_many()
            .col_expr(runner_token::Column::LastUseTime, Expr::value(now))
            .filter(runner_token::Column::Id.eq(id.0))
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }

    /// Deletes a token; answers whether there was one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn delete_runner_token(&self, id: RunnerTokenId) -> Result<bool, DbErr> {
        let transaction = self.begin().await?;
        let deleted = runner_token::Entity::delete_by_id(id.0)
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(deleted.rows_affected > 0)
    }
}
