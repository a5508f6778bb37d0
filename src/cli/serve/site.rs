//! The files that are served, all of them from memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cnn_gpu::interchange::Network;
use cnn_gpu::web::WebSite;
use hyper::body::Bytes;
use hyper::header::HeaderValue;

use super::follow::{self, FollowedRun};
use crate::cli::export::collect::Collected;
use crate::cli::sha256;

/// A file as it is sent.
#[derive(Clone)]
pub struct ServedFile {
    pub bytes: Bytes,
    /// Its media type.
    pub kind: &'static str,
    /// Names the contents: equal tags, equal bytes.
    pub tag: HeaderValue,
}

impl ServedFile {
    /// A file with this name.
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        // No quotes and no control characters, so it is a header's value.
        let tag = format!("\"{}\"", &sha256::of(&bytes)[..32]);
        Self {
            kind: kind_of(name),
            tag: HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\"")),
            bytes: bytes.into(),
        }
    }
}

/// The media type of a file.
fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        // Without a content encoding: the page unpacks it.
        Some("gz") => "application/gzip",
        _ => "application/octet-stream",
    }
}

/// The network's page.
pub struct ServedSite {
    /// The model's name.
    pub name: String,
    /// What the page cannot do, one line each.
    pub left_out: Vec<String>,
    files: BTreeMap<&'static str, ServedFile>,
    /// The run that the page follows.
    run: Option<Mutex<FollowedRun>>,
}

impl ServedSite {
    /// Reads the network, and makes its page.
    ///
    /// # Errors
    /// As [`Collected::of`] and [`WebSite::new`]; for a run to follow, as [`follow::open`].
    pub fn open(path: &Path, follow: bool, batch_size: Option<u32>) -> cnn_gpu::Result<Self> {
        let (mut collected, folder) = match follow {
            true => {
                let (folder, trained) = follow::open(path)?;
                (Collected::from_trained(trained), Some(folder))
            }
            false => (Collected::of(path)?, None),
        };
        if let Some(n) = batch_size {
            collected.page.training.batch_size = n as usize;
        }
        let Network { model, state, .. } = &collected.network;
        let site = WebSite::new(model, state, &collected.page)?;
        let mut files: BTreeMap<_, _> = (WebSite::file_names().into_iter())
            .zip(site.files())
            .map(|(name, bytes)| (name, ServedFile::new(name, bytes)))
            .collect();
        if folder.is_some() {
            let follows = WebSite::follow_files().map(|(name, text)| (name, text.into_bytes()));
            files.extend(follows.map(|(name, bytes)| (name, ServedFile::new(name, bytes))));
        }
        let run = folder.map(|folder| FollowedRun::new(folder, model.clone(), site.weights));
        Ok(Self {
            name: collected.network.model.name,
            left_out: site.left_out,
            files,
            run: run.map(Mutex::new),
        })
    }

    /// The file at a path; none if there is none.
    ///
    /// # Errors
    /// A file of the followed run cannot be read.
    pub async fn file(site: &Arc<Self>, path: &str) -> Option<Result<ServedFile, String>> {
        let name = match path.strip_prefix('/')? {
            "" => "index.html",
            name => name,
        };
        if site.run.is_none() || !FollowedRun::has(name) {
            return site.files.get(name).cloned().map(Ok);
        }
        let (site, name) = (Arc::clone(site), name.to_owned());
        // On another thread, as a disk may be slow.
        let read = tokio::task::spawn_blocking(move || {
            let run = site.run.as_ref()?;
            let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
            Some(run.file(&name).map_err(|error| error.to_string()))
        });
        read.await
            .unwrap_or_else(|error| Some(Err(error.to_string())))
    }
}
