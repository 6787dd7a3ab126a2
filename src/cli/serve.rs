//! `zhiyin serve`: the service.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Session;
use crate::app::App;

/// Arguments of `zhiyin serve`.
#[derive(Args)]
pub(super) struct ServeArguments {
    /// Address and port; `server.listen` by default (127.0.0.1:8080).
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Folder of the store; `store.path` by default (./data).
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
}

pub(super) async fn run(mut session: Session, arguments: ServeArguments) -> anyhow::Result<ExitCode> {
    if let Some(listen) = arguments.listen {
        session.settings.server.listen = listen;
    }
    if let Some(store) = arguments.store {
        session.settings.store.path = store;
    }
    let started = std::time::Instant::now();
    let app = App::start(&session.home, &session.settings).await?;
    let address = app.address()?;
    println!("zhiyin is ready on http://{address}/ ({} ms)", started.elapsed().as_millis());
    if let Some(token) = &app.first_token {
        println!("development token (shown once): {}", token.secret);
        println!("live page: http://{address}/#token={}", token.secret);
    }
    let drain = Duration::from_secs(session.settings.server.drain_s);
    app.serve(drain, stop_signal()).await?;
    println!("zhiyin has stopped; everything acknowledged is kept");
    Ok(ExitCode::SUCCESS)
}

/// Resolves at Ctrl-C or SIGTERM.
pub(super) async fn stop_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
