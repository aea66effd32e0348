//! The database models, one file per table, nothing else. Conventions are those of the migrations:
//! times in milliseconds since the Unix epoch, money in millionths of a US dollar.

pub mod activity;
pub mod api_token;
pub mod audit;
pub mod browser_session;
pub mod change_set;
pub mod data_key;
pub mod direct_provider_key;
pub mod event;
pub mod key_rotation;
pub mod login_link;
pub mod member;
pub mod permission_request;
pub mod provider_key;
pub mod request_id;
pub mod run;
pub mod runner_token;
pub mod schedule;
pub mod server;
pub mod session;
pub mod snapshot;
pub mod turn;
pub mod user;
pub mod user_secret;
pub mod vault_check;
pub mod workspace;
pub mod workspace_hold;
pub mod workspace_remains;
