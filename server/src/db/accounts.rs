//! Users, sign-in links, browser sessions, API tokens.

use membrane_entity::{api_token, browser_session, login_link, user};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, Condition, DbErr, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::Expr,
};

use super::{Database, locked, newer_than, older_than, serialise};
use crate::{
    clock::Millis,
    error::Error,
    id::{ApiTokenId, UserId},
    page::Page,
};

/// What whoever makes a user, or makes one an administrator or not, serialises on.
const USERS: &str = "users";

/// A digest of a credential.
pub type Digest = [u8; 32];

impl Database {
    /// Creates a user.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when the name is taken.
    pub async fn create_user(
        &self,
        name: &str,
        administrator: bool,
        now: Millis,
    ) -> Result<user::Model, Error> {
        let transaction = self.begin().await?;
        serialise(&transaction, USERS).await?;
        if find_user(&transaction, name).await?.is_some() {
            return Err(Error::AlreadyExists("a user of this name".into()));
        }
        let model = user::Model {
            id: UserId::new().0,
            name: name.to_owned(),
            administrator,
            disabled: false,
            create_time: now,
        };
        user::Entity::insert(model.clone().into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(model)
    }

    /// The user of this id.
    ///
    /// # Errors
    /// The database's own.
    pub async fn user(&self, id: UserId) -> Result<Option<user::Model>, DbErr> {
        user::Entity::find_by_id(id.0).one(&self.reader).await
    }

    /// The user of this name.
    ///
    /// # Errors
    /// The database's own.
    pub async fn user_by_name(&self, name: &str) -> Result<Option<user::Model>, DbErr> {
        find_user(&self.reader, name).await
    }

    /// The oldest enabled administrator, and whether there is any user at all.
    ///
    /// # Errors
    /// The database's own.
    pub async fn first_administrator(&self) -> Result<(Option<user::Model>, bool), DbErr> {
        let found = user::Entity::find()
            .filter(user::Column::Administrator.eq(true))
            .filter(user::Column::Disabled.eq(false))
            .order_by_asc(user::Column::CreateTime)
            .one(&self.reader)
            .await?;
        let users = user::Entity::find().count(&self.reader).await?;
        Ok((found, users > 0))
    }

    /// One page of all users, oldest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_users(&self, page: &Page) -> Result<Vec<user::Model>, DbErr> {
        let mut query = user::Entity::find();
        if let Some(place) = page.after {
            query = query.filter(newer_than(
                user::Column::CreateTime,
                user::Column::Id,
                place,
            ));
        }
        query
            .order_by_asc(user::Column::CreateTime)
            .order_by_asc(user::Column::Id)
            .limit(page.fetch())
            .all(&self.reader)
            .await
    }

    /// Changes what administrators may change of a user. A disabled user's browser sessions end.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Precondition`] when no administrator would be left.
    pub async fn update_user(
        &self,
        id: UserId,
        disabled: Option<bool>,
        administrator: Option<bool>,
    ) -> Result<user::Model, Error> {
        let transaction = self.begin().await?;
        serialise(&transaction, USERS).await?;
        let Some(found) = user::Entity::find_by_id(id.0).one(&transaction).await? else {
            return Err(Error::NotFound("user"));
        };
        let mut change = found.into_active_model();
        if let Some(disabled) = disabled {
            change.disabled = Set(disabled);
        }
        if let Some(administrator) = administrator {
            change.administrator = Set(administrator);
        }
        let changed = if change.is_changed() {
            change.update(&transaction).await?
        } else {
            user::Model::try_from(change)?
        };
        let administrators = user::Entity::find()
            .filter(user::Column::Administrator.eq(true))
            .filter(user::Column::Disabled.eq(false))
            .count(&transaction)
            .await?;
        if administrators == 0 {
            return Err(Error::Precondition {
                reason: "LAST_ADMINISTRATOR",
                message: "this server would be left without an administrator".to_owned(),
            });
        }
        if changed.disabled {
            browser_session::Entity::delete_many()
                .filter(browser_session::Column::UserId.eq(id.0))
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(changed)
    }

    /// Stores a sign-in link.
    ///
    /// # Errors
    /// The database's own.
    pub async fn create_login_link(
        &self,
        digest: Digest,
        user_id: UserId,
        expire_time: Millis,
    ) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        login_link::Entity::insert(
            login_link::Model {
                digest: digest.to_vec(),
                user_id: user_id.0,
                expire_time,
            }
            .into_active_model(),
        )
        .exec_without_returning(&transaction)
        .await?;
        transaction.commit().await
    }

    /// Uses up a sign-in link and starts a browser session in its place: one transaction, so that
    /// a link works once however many try it at the same time.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for a link that is unknown, used, expired, or whose user is
    /// disabled.
    pub async fn exchange_login_link(
        &self,
        link: Digest,
        session: Digest,
        now: Millis,
        expire_time: Millis,
    ) -> Result<user::Model, Error> {
        const REFUSED: Error = Error::Unauthenticated(
            "this sign-in link is not valid any more; make a new one with `membrane login-link`",
        );
        let transaction = self.begin().await?;
        let Some(found) = locked(login_link::Entity::find_by_id(link.to_vec()))
            .one(&transaction)
            .await?
        else {
            return Err(REFUSED);
        };
        login_link::Entity::delete_many()
            .filter(
                Condition::any()
                    .add(login_link::Column::Digest.eq(link.to_vec()))
                    .add(login_link::Column::ExpireTime.lte(now)),
            )
            .exec(&transaction)
            .await?;
        let owner = user::Entity::find_by_id(found.user_id)
            .one(&transaction)
            .await?;
        let Some(owner) = owner.filter(|owner| !owner.disabled && found.expire_time > now) else {
            transaction.commit().await?;
            return Err(REFUSED);
        };
        browser_session::Entity::insert(
            browser_session::Model {
                digest: session.to_vec(),
                user_id: owner.id,
                create_time: now,
                expire_time,
            }
            .into_active_model(),
        )
        .exec_without_returning(&transaction)
        .await?;
        transaction.commit().await?;
        Ok(owner)
    }

    /// The enabled user of a live browser session.
    ///
    /// # Errors
    /// The database's own.
    pub async fn user_of_browser_session(
        &self,
        digest: Digest,
        now: Millis,
    ) -> Result<Option<user::Model>, DbErr> {
        let found = browser_session::Entity::find_by_id(digest.to_vec())
            .one(&self.reader)
            .await?;
        let Some(session) = found.filter(|session| session.expire_time > now) else {
            return Ok(None);
        };
        self.enabled_user(UserId(session.user_id)).await
    }

    /// Ends a browser session; succeeds if there is none.
    ///
    /// # Errors
    /// The database's own.
    pub async fn delete_browser_session(&self, digest: Digest) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        browser_session::Entity::delete_by_id(digest.to_vec())
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }

    /// Stores an API token.
    ///
    /// # Errors
    /// [`Error::Exhausted`] beyond `limit` tokens of this user.
    pub async fn create_api_token(&self, token: api_token::Model, limit: u64) -> Result<(), Error> {
        let transaction = self.begin().await?;
        locked(user::Entity::find_by_id(token.user_id))
            .one(&transaction)
            .await?;
        let count = api_token::Entity::find()
            .filter(api_token::Column::UserId.eq(token.user_id))
            .count(&transaction)
            .await?;
        if count >= limit {
            return Err(Error::Exhausted {
                reason: "TOO_MANY_TOKENS",
                message: format!("a user can have at most {limit} API tokens; delete one first"),
            });
        }
        api_token::Entity::insert(token.into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The live API token with this digest and its enabled user.
    ///
    /// # Errors
    /// The database's own.
    pub async fn user_of_api_token(
        &self,
        digest: Digest,
        now: Millis,
    ) -> Result<Option<(user::Model, api_token::Model)>, DbErr> {
        let found = api_token::Entity::find()
            .filter(api_token::Column::Digest.eq(digest.to_vec()))
            .one(&self.reader)
            .await?;
        let Some(token) = found.filter(|token| token.expire_time.is_none_or(|end| end > now))
        else {
            return Ok(None);
        };
        let owner = self.enabled_user(UserId(token.user_id)).await?;
        Ok(owner.map(|owner| (owner, token)))
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    /// The database's own.
    pub async fn touch_api_token(&self, id: ApiTokenId, now: Millis) -> Result<(), DbErr> {
        let transaction = self.begin().await?;
        api_token::Entity::update_many()
            .col_expr(api_token::Column::LastUseTime, Expr::value(now))
            .filter(api_token::Column::Id.eq(id.0))
            .exec(&transaction)
            .await?;
        transaction.commit().await
    }

    /// One page of a user's tokens, newest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_api_tokens(
        &self,
        user_id: UserId,
        page: &Page,
    ) -> Result<Vec<api_token::Model>, DbErr> {
        let mut query = api_token::Entity::find().filter(api_token::Column::UserId.eq(user_id.0));
        if let Some(place) = page.after {
            query = query.filter(older_than(
                api_token::Column::CreateTime,
                api_token::Column::Id,
                place,
            ));
        }
        query
            .order_by_desc(api_token::Column::CreateTime)
            .order_by_desc(api_token::Column::Id)
            .limit(page.fetch())
            .all(&self.reader)
            .await
    }

    /// Deletes a user's own token.
    ///
    /// # Errors
    /// [`Error::NotFound`] if this user has no such token.
    pub async fn delete_api_token(&self, user_id: UserId, id: ApiTokenId) -> Result<(), Error> {
        let transaction = self.begin().await?;
        let deleted = api_token::Entity::delete_many()
            .filter(api_token::Column::Id.eq(id.0))
            .filter(api_token::Column::UserId.eq(user_id.0))
            .exec(&transaction)
            .await?;
        if deleted.rows_affected == 0 {
            return Err(Error::NotFound("API token"));
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn enabled_user(&self, id: UserId) -> Result<Option<user::Model>, DbErr> {
        Ok(self.user(id).await?.filter(|user| !user.disabled))
    }
}

async fn find_user(
    connection: &impl sea_orm::ConnectionTrait,
    name: &str,
) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find()
        .filter(user::Column::Name.eq(name))
        .one(connection)
        .await
}
