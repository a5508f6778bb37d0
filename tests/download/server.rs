//! A local HTTP server that misbehaves on request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{contents, gzip};

/// How the server responds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The file.
    Whole,
    /// The file, unpacked by the server.
    Unpacked,
    /// Half of the file, then the connection is closed.
    Half,
    /// Half of the file, then silence.
    Stall,
    /// No response.
    Mute,
    /// The wrong bytes, validly packed.
    Wrong,
    /// A web page, as from a captive portal.
    Page,
    /// Endless bytes.
    Endless,
    /// Status 404.
    NotFound,
}

/// A server and the names requested from it.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mnist/", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                // The client may close the connection at any time, so ignore errors.
                thread::spawn(move || drop(serve(stream, answer, &log)));
            }
        });
        Self { url, asked }
    }

    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, answer: Answer, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let name = read_request(&stream)?;
    log.lock().unwrap().push(name.clone());
    let raw = contents(name.trim_end_matches(".gz"));
    let packed = gzip(&raw);
    let half = &packed[..packed.len() / 2];
    match answer {
        Answer::Whole => respond(&mut stream, 200, packed.len(), &packed),
        Answer::Unpacked => respond(&mut stream, 200, raw.len(), &raw),
        Answer::Half => respond(&mut stream, 200, packed.len(), half),
        Answer::Wrong => {
            let wrong = gzip(&raw.iter().map(|byte| byte ^ 1).collect::<Vec<_>>());
            respond(&mut stream, 200, wrong.len(), &wrong)
        }
        Answer::Page => respond(&mut stream, 200, 6, b"<html>"),
        Answer::NotFound => respond(&mut stream, 404, 0, b""),
        Answer::Endless => {
            respond(&mut stream, 200, 1 << 40, b"")?;
            loop {
                stream.write_all(&[0; 1024])?;
            }
        }
        Answer::Stall => {
            respond(&mut stream, 200, packed.len(), half)?;
            wait_for_hang_up(&mut stream)
        }
        Answer::Mute => wait_for_hang_up(&mut stream),
    }
}

/// Reads a request; returns the name of the file.
fn read_request(stream: &TcpStream) -> std::io::Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    Ok(path.rsplit('/').next().unwrap_or_default().into())
}

fn respond(stream: &mut TcpStream, status: u16, length: usize, body: &[u8]) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

fn wait_for_hang_up(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0]).map(drop)
}
