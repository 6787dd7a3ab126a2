//! What can go wrong with stored things.

use std::path::PathBuf;

/// A read or write failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or written.
    #[error("store folder {path}: {source}; name a writable folder with `store.path`")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process writes this store.
    #[error("store {path} is in use by another process; stop it or name another folder with `store.path`")]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("the disk is full; nothing that was acknowledged is lost, free space and try again")]
    DiskFull,
    /// The database refused.
    #[error("database: {0}")]
    Database(String),
    /// A stored body cannot be read.
    #[error("stored {what} {id} cannot be read: {message}")]
    Corrupt {
        /// Kind of row.
        what: &'static str,
        /// Its id.
        id: String,
        /// Why.
        message: String,
    },
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// A row with this unique name exists already.
    #[error("{what} {id} exists already")]
    Exists {
        /// Kind of row.
        what: &'static str,
        /// The existing row's id.
        id: String,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        if text.contains("disk is full") || text.contains("code: 13") {
            return Self::DiskFull;
        }
        Self::Database(text)
    }
}

impl From<StoreError> for crate::event::SinkError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => Self::Closed,
            StoreError::DiskFull => Self::Full,
            StoreError::Exists { what, id } => Self::Exists { what, id },
            other => Self::Failed(other.to_string()),
        }
    }
}
