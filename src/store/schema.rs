//! Opening the database and its writer.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::write::{Job, run_writer};
use super::{StoreError, Write};

/// Where and how the store is kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Folder of the database.
    pub path: PathBuf,
    /// Commit to the disk itself, not only to the operating system.
    pub sync_full: bool,
    /// Largest size of the database in MiB; 0: as large as the disk.
    pub max_mib: u32,
}

impl StoreConfig {
    /// A store in a folder, with the default durability.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), sync_full: false, max_mib: 0 }
    }
}

/// Capacity of the writer's mailbox in writes; a full one makes callers wait.
const WRITER_CAPACITY: usize = 4_096;

/// The open store. Clones share it.
#[derive(Clone)]
pub struct Store {
    pub(super) readers: SqlitePool,
    writer: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    writer_task: parking_lot::Mutex<Option<JoinHandle<()>>>,
    /// Held for the life of the store: one process writes.
    /// Held until the store is closed.
    lock: parking_lot::Mutex<Option<File>>,
}

impl Store {
    /// Opens or makes the store.
    ///
    /// # Errors
    /// The folder is not writable or in use, or the database cannot be opened or brought to the present schema.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let folder = |source| StoreError::Folder { path: config.path.clone(), source };
        fs::create_dir_all(&config.path).map_err(folder)?;
        let lock = File::create(config.path.join("lock")).map_err(folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StoreError::InUse { path: config.path.clone() }),
            Err(fs::TryLockError::Error(source)) => return Err(folder(source)),
        }
        let file = config.path.join("zhiyin.db");
        let options = connect_options(&file, config)?;
        let write_pool = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!("src/store/migrations")
            .run(&write_pool)
            .await
            .map_err(|e| StoreError::Database(format!("{}: {e}", file.display())))?;
        let readers = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        let (writer, mailbox) = mpsc::channel(WRITER_CAPACITY);
        let task = tokio::spawn(run_writer(write_pool, mailbox));
        let shared = Shared {
            path: config.path.clone(),
            writer_task: parking_lot::Mutex::new(Some(task)),
            lock: parking_lot::Mutex::new(Some(lock)),
        };
        Ok(Self { readers, writer, shared: Arc::new(shared) })
    }

    /// The folder of the store.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Commits writes, all or none, and returns when they are durable.
    ///
    /// # Errors
    /// The database refused; then none of them holds.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.writer.send(Job { writes, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits until everything sent so far is durable and closes the writer of this last clone.
    pub async fn close(self) {
        let task = self.shared.writer_task.lock().take();
        drop(self.writer);
        if let Some(task) = task {
            // Other clones may keep the writer alive; what they send is their business.
            let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
        }
        self.readers.close().await;
        // From now on another process, or this one, may open the folder.
        drop(self.shared.lock.lock().take());
    }
}

fn connect_options(file: &Path, config: &StoreConfig) -> Result<SqliteConnectOptions, StoreError> {
    let url = format!("sqlite://{}", file.display());
    let options = SqliteConnectOptions::from_str(&url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if config.sync_full { SqliteSynchronous::Full } else { SqliteSynchronous::Normal })
        .busy_timeout(Duration::from_secs(5))
        .pragma("mmap_size", "134217728")
        .pragma("cache_size", "-8000");
    // Pages are 4 KiB by default.
    Ok(if config.max_mib > 0 { options.pragma("max_page_count", (config.max_mib * 256).to_string()) } else { options })
}
