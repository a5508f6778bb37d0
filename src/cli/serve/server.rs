//! Connections, with bounds on their number, their time and the size of a request, so that a slow
//! client keeps nobody waiting.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use super::address::PageAddress;
use super::answer::answer;
use super::site::ServedSite;

/// Connections at a time; browsers open six. Others wait.
const MOST_CONNECTIONS: usize = 128;
/// How long a client may take to send a request, and may stay without sending one.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// After this time a connection ends with the answer it is sending.
const CONNECTION_TIME: Duration = Duration::from_secs(60);
/// How long that answer may take, which for large weights over a slow network is long.
const ANSWER_TIME: Duration = Duration::from_secs(600);
/// The most bytes of a request's head.
const MOST_HEAD: usize = 16 << 10;
/// The wait after a failed accept, as when all file descriptors are in use.
const PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
struct ConnectionContext {
    site: Arc<ServedSite>,
    address: PageAddress,
}

/// Serves the site until `end`.
///
/// # Errors
/// The system provides no event queue.
pub fn serve(
    listener: TcpListener,
    site: Arc<ServedSite>,
    address: PageAddress,
    end: &Notify,
) -> io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // Of the threads that read a followed run's files, which take turns anyway.
    runtime.enable_io().enable_time().max_blocking_threads(1);
    let runtime = runtime.build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(accept(
            listener,
            Arc::new(ConnectionContext { site, address }),
        ));
        end.notified().await;
        io::Result::Ok(())
    })?;
    runtime.shutdown_background();
    Ok(())
}

async fn accept(listener: tokio::net::TcpListener, context: Arc<ConnectionContext>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let context = Arc::clone(&context);
        tokio::spawn(async move {
            connection(stream, &context).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, context: &ConnectionContext) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(&request, &context.site, &context.address).await)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_buf_size(MOST_HEAD);
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    // A client that goes away or sends something else than HTTP concerns nobody else.
    if timeout(CONNECTION_TIME, serving.as_mut()).await.is_err() {
        serving.as_mut().graceful_shutdown();
        let _ = timeout(ANSWER_TIME, serving).await;
    }
}
