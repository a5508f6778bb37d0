//! `serve`: a server on a free port, asked as a browser asks and as it should not be asked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::program::{PROGRAM, fails, only_says, run, text};
use super::tiny;

/// A server in another process, which ends with the test.
struct Server {
    process: Child,
    port: u16,
    line: String,
}

impl Server {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let mut process = Command::new(PROGRAM)
            .current_dir(folder)
            .args(["serve", "--port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let port = url.and_then(|url| url.trim_end_matches('/').rsplit(':').next()?.parse().ok());
        Self {
            process,
            port: port.unwrap_or_else(|| panic!("no port in {line:?}")),
            line,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// Sends a request, in which `PORT` stands for the port, and reads all that comes back.
    fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        let request = request.replace("PORT", &self.port.to_string());
        // A request that is refused early may not be read to its end.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Answer::new(&bytes)
    }

    fn ask(&self, start: &str, more: &str) -> Answer {
        let own = "Host: localhost:PORT\r\nConnection: close\r\n";
        self.send(&format!("{start} HTTP/1.1\r\n{own}{more}\r\n"))
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "")
    }

    fn news(&self) -> Value {
        let answer = self.get("/follow.json");
        assert_eq!(answer.status, 200, "{}", text(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Answer {
    status: u16,
    /// By name in lower case.
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn new(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head");
        let head = text(&bytes[..end]);
        let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        Self {
            status: first.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: rest.lines().map(header).collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }
}

/// A trained network as `net`, and a server of it.
fn served(args: &[&str]) -> (TempDir, Server) {
    let folder = TempDir::new().unwrap();
    tiny::prepare(folder.path());
    tiny::trained(folder.path(), "net", &[]);
    let server = Server::start(folder.path(), &[&["net"], args].concat());
    (folder, server)
}

#[test]
fn serves_the_files_of_the_export() {
    let (folder, server) = served(&["--batch-size", "4"]);
    let export = ["export", "net", "--web", "site", "--batch-size", "4"];
    assert!(run(folder.path(), &export).status.success());
    let mut names = 0;
    for entry in fs::read_dir(folder.path().join("site")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        let answer = server.get(&format!("/{name}?x=1"));
        assert_eq!(answer.status, 200, "{name}");
        assert!(answer.body == bytes, "{name} differs from the export");
        let header = |what: &str| answer.headers[what].as_str();
        assert_eq!(header("content-length"), bytes.len().to_string());
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-cache");
        assert!(
            header("content-security-policy")
                .starts_with("default-src 'none'; script-src 'self'; ")
        );
        let kind = match name.rsplit('.').next().unwrap() {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "gz" => "application/gzip",
            _ => "application/octet-stream",
        };
        assert_eq!(header("content-type"), kind, "{name}");
        assert!(!answer.headers.contains_key("content-encoding"));

        let head = server.ask(&format!("HEAD /{name}"), "");
        assert_eq!((head.status, head.body.len()), (200, 0), "{name}");
        assert_eq!(head.headers["content-length"], bytes.len().to_string());
        let held = format!("If-None-Match: \"old\", {}\r\n", header("etag"));
        let held = server.ask(&format!("GET /{name}"), &held);
        assert_eq!((held.status, held.body.len()), (304, 0), "{name}");
        names += 1;
    }
    assert!(names > 20, "{names} files");
    assert!(server.get("/").body == fs::read(folder.path().join("site/index.html")).unwrap());
    for name in ["/follow.js", "/follow.json"] {
        assert_eq!(server.get(name).status, 404, "{name} belongs to --follow");
    }
}

#[test]
fn answers_only_requests_for_its_files_by_its_own_names() {
    let (_folder, server) = served(&[]);
    for path in [
        "/no",
        "/../net/config.toml",
        "/net/config.toml",
        "/%2e%2e/",
        "//",
        "/index.html/",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "ODD"] {
        let answer = server.ask(&format!("{method} /"), "");
        assert_eq!(
            (answer.status, &*answer.headers["allow"]),
            (405, "GET, HEAD")
        );
    }
    let close = "Connection: close\r\n\r\n";
    let status = |head: &str| server.send(&format!("{head}\r\n{close}")).status;
    for host in ["127.0.0.1:PORT", "[::1]:PORT", "LocalHost:PORT"] {
        assert_eq!(
            status(&format!("GET / HTTP/1.1\r\nHost: {host}")),
            200,
            "{host}"
        );
    }
    // DNS rebinding: a name of somebody else's that leads here.
    for host in [
        "evil.example",
        "evil.example:PORT",
        "localhost",
        "localhost:1",
        "192.168.0.1:PORT",
        "",
    ] {
        assert_eq!(
            status(&format!("GET / HTTP/1.1\r\nHost: {host}")),
            421,
            "{host}"
        );
    }
    assert_eq!(
        status("GET / HTTP/1.1\r\nHost: localhost:PORT\r\nHost: evil.example"),
        421
    );
    assert_eq!(
        status("GET http://evil.example/ HTTP/1.1\r\nHost: localhost:PORT"),
        421
    );
    assert_eq!(status("GET / HTTP/1.0"), 421);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: localhost:PORT\r\nX: {}",
        "x".repeat(100_000)
    );
    assert_eq!(status(&long), 431);
    assert_eq!(status("not HTTP"), 400);
}

#[test]
fn slow_clients_keep_nobody_waiting_and_are_let_go() {
    let (_folder, server) = served(&[]);
    let start = Instant::now();
    let mut slow: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for stream in &mut slow[4..] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    }
    assert_eq!(server.get("/").status, 200);
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "waited for slow clients"
    );
    for mut stream in slow {
        let mut rest = Vec::new();
        // Closed, perhaps with an error of HTTP before.
        let _ = stream.read_to_end(&mut rest);
        assert!(!text(&rest).contains(" 200 "));
    }
    let seconds = start.elapsed().as_secs_f64();
    assert!((8.0..50.0).contains(&seconds), "let go after {seconds} s");
}

#[test]
fn says_what_keeps_it_from_serving() {
    let folder = TempDir::new().unwrap();
    tiny::prepare(folder.path());
    tiny::trained(folder.path(), "net", &[]);
    let serve = |args: &[&str]| run(folder.path(), &[&["serve"], args].concat());
    only_says(&serve(&["nowhere"]), 1, "nowhere: no such file or folder");
    only_says(
        &serve(&["nowhere", "--follow"]),
        1,
        "expected the folder of a run",
    );
    let file = "net/model.safetensors";
    only_says(
        &serve(&[file, "--follow"]),
        1,
        "expected the folder of a run",
    );
    only_says(&serve(&["data", "--follow"]), 1, "config.toml");
    only_says(&serve(&["net", "--batch-size", "0"]), 2, "--batch-size");
    only_says(&serve(&["net", "--port", "70000"]), 2, "--port");
    only_says(&serve(&["net", "--host", "a b"]), 2, "--host a b");
    // An address for documentation, which no machine has (RFC 5737).
    only_says(
        &serve(&["net", "--host", "192.0.2.1"]),
        1,
        "--host 192.0.2.1",
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let words = [&*format!("port {port} is in use"), "--port 0"];
    fails(&serve(&["net", "--port", &port]), 1, &words);
}

#[test]
fn a_host_for_the_network_is_warned_of_and_answered_by_address() {
    let (_folder, mut server) = served(&["--host", "0.0.0.0"]);
    assert!(
        server.line.starts_with("serving tiny at http://127.0.0.1:"),
        "{}",
        server.line
    );
    let status = |host: &str| {
        server
            .send(&format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n"))
            .status
    };
    assert_eq!(status("192.168.0.7:PORT"), 200);
    assert_eq!(status("evil.example:PORT"), 421);
    server.process.kill().unwrap();
    let mut said = String::new();
    server
        .process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.starts_with("warning: every machine that reaches port "),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn control_c_ends_it_as_a_success() {
    let (_folder, mut server) = served(&[]);
    // An open connection does not hold it up.
    let _open = server.connect();
    let pid = server.process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(server.process.wait().unwrap().success());
    let mut said = String::new();
    server
        .process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said.trim(), "the server has ended");
}

/// Says that a file was written so many seconds ago.
fn written(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn follows_a_run_from_its_start_to_its_end_and_on() {
    let folder = TempDir::new().unwrap();
    tiny::prepare(folder.path());
    tiny::trained(folder.path(), "done", &["--validation-data", "test"]);
    let (done, live) = (folder.path().join("done"), folder.path().join("live"));
    let copy = |name: &str, seconds: u64| {
        fs::copy(done.join(name), live.join(name)).unwrap();
        written(&live.join(name), seconds);
    };
    let history = fs::read_to_string(done.join("history.jsonl")).unwrap();
    let epochs: Vec<Value> = history
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();

    // The first epoch: the weights are those that the run starts with.
    fs::create_dir(&live).unwrap();
    copy("config.toml", 100);
    copy(".lock", 99);
    let server = Server::start(folder.path(), &["live", "--follow"]);
    let page = text(&server.get("/").body);
    assert!(page.contains("<script src=\"follow.js\"></script>"));
    assert_eq!(
        server.get("/follow.js").headers["content-type"],
        "text/javascript; charset=utf-8"
    );
    let first = server.news();
    let expected = json!({
        "state": "training", "epochs": 2, "history": [], "weights": first["weights"], "is_trained": false,
        "reason": null, "restored_epoch": null, "test_accuracy": null,
    });
    assert_eq!(first, expected);
    let weights = server.get("/weights.safetensors");
    assert_eq!(weights.headers["etag"], first["weights"].as_str().unwrap());
    let (model, state) = cnn_gpu::run::weights::from_bytes(weights.body).unwrap();
    let layout = cnn_gpu::state::Layout::new(&model).unwrap();
    assert_eq!(
        state.weights_hash(),
        cnn_gpu::state::State::new(layout, 42).weights_hash()
    );
    let held = format!(
        "If-None-Match: {}\r\n",
        server.get("/follow.json").headers["etag"]
    );
    assert_eq!(server.ask("GET /follow.json", &held).status, 304);

    // An epoch, and the start of the line of the next.
    let (line, rest) = history.split_at(history.find('\n').unwrap() + 11);
    fs::write(live.join("history.jsonl"), line).unwrap();
    copy("model.safetensors", 50);
    let second = server.news();
    assert_eq!(second["history"], json!([epochs[0]]));
    assert_eq!(
        (&second["state"], &second["is_trained"]),
        (&json!("training"), &json!(true))
    );
    assert_ne!(second["weights"], first["weights"]);
    let newest = server.get("/weights.safetensors").body;
    assert!(newest == fs::read(live.join("model.safetensors")).unwrap());
    assert_eq!(server.ask("GET /follow.json", &held).status, 200);

    // The end.
    fs::write(live.join("history.jsonl"), line.to_owned() + rest).unwrap();
    copy("result.json", 40);
    let last = server.news();
    assert_eq!(
        (&last["state"], &last["history"]),
        (&json!("finished"), &json!(epochs))
    );
    assert!(last["test_accuracy"].is_number(), "{last}");
    let end = |what: Value| {
        fs::write(live.join("result.json"), what.to_string()).unwrap();
        let news = server.news();
        (news["state"].clone(), news["reason"].clone())
    };
    assert_eq!(
        end(json!({"interrupted": true})),
        (json!("interrupted"), Value::Null)
    );
    let stopped = end(json!({"stop_reason": "enough", "restored_epoch": 1}));
    assert_eq!(stopped, (json!("stopped"), json!("enough")));

    // Resumed: the folder is locked again.
    written(&live.join("result.json"), 30);
    written(&live.join(".lock"), 20);
    assert_eq!(server.news()["state"], "training");
    for name in [
        "config.toml",
        ".lock",
        "history.jsonl",
        "model.safetensors",
        "result.json",
    ] {
        written(&live.join(name), if name == ".lock" { 1000 } else { 2000 });
    }
    assert_eq!(server.news()["state"], "silent");

    // Another network, and no run any more.
    let config = fs::read_to_string(done.join("config.toml")).unwrap();
    assert!(config.contains("filters = 4"));
    fs::write(
        live.join("config.toml"),
        config.replace("filters = 4", "filters = 5"),
    )
    .unwrap();
    assert_eq!(server.news()["state"], "replaced");
    fs::remove_dir_all(&live).unwrap();
    let gone = server.get("/follow.json");
    assert_eq!(gone.status, 500);
    assert!(
        text(&gone.body).contains("cannot read the run's settings"),
        "{}",
        text(&gone.body)
    );
    assert_eq!(server.get("/page.js").status, 200);
}
