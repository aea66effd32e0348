//! Doing things to their end.

use tracing::Instrument as _;

use crate::error::Error;

/// Does something to its end, also when nobody waits for it any more: what is stored is told of, too,
/// and what follows from it happens.
///
/// # Errors
/// Those of what is done; [`Error::Internal`] if it panics.
pub async fn to_the_end<T: Send + 'static>(
    doing: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(doing.in_current_span())
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
}
