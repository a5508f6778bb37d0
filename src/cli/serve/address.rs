//! Where the server listens, and the names by which it may be called.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use anyhow::bail;
use cnn_gpu::Error;
use hyper::http::uri::Authority;

/// The address that only this machine reaches.
pub const LOOPBACK: &str = "127.0.0.1";

/// Where the server listens.
pub struct PageAddress {
    bound: SocketAddr,
    /// What was asked for, without the brackets of an IPv6 address.
    host: String,
}

impl PageAddress {
    /// Listens on a port of an address or of the addresses of a name.
    ///
    /// # Errors
    /// The host has no address, it is not this machine's, or the port is in use.
    pub fn listen(host: &str, port: u16) -> anyhow::Result<(TcpListener, Self)> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, port).to_socket_addrs().map(Iterator::collect);
        let addresses: Vec<SocketAddr> = match found {
            Ok(addresses) if !host.is_empty() => addresses,
            _ => {
                let message =
                    format!("--host {host}: expected an address or a name of this machine");
                return Err(Error::Argument(message).into());
            }
        };
        let listener = match TcpListener::bind(&addresses[..]) {
            Ok(listener) => listener,
            Err(error) => bail!("{}", refusal(host, port, &error)),
        };
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        let host = host.to_owned();
        Ok((listener, Self { bound, host }))
    }

    /// The page's address, as it is opened on this machine.
    pub fn url(&self) -> String {
        let ip = match self.bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}/", SocketAddr::new(ip, self.bound.port()))
    }

    /// What one should know about an address that other machines reach.
    pub fn warning(&self) -> Option<String> {
        let port = self.bound.port();
        (!self.bound.ip().is_loopback()).then(|| {
            format!(
                "every machine that reaches port {port} of this one can see the network, without a \
                 password; there the page computes in JavaScript and does not train, as browsers \
                 have WebGPU only on localhost and https"
            )
        })
    }

    /// Whether a request may call the server so. A page on the internet can let its own name point
    /// to this machine and would then be allowed to read the answers, so other names are refused;
    /// addresses cannot be redirected.
    pub fn is_called(&self, header: &str) -> bool {
        let Ok(authority) = header.parse::<Authority>() else {
            return false;
        };
        let host = authority.host().to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_own = match host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == self.bound.ip() || self.bound.ip().is_unspecified(),
            Err(_) => host == "localhost" || host == self.host.to_ascii_lowercase(),
        };
        is_own && !header.contains('@') && authority.port_u16().unwrap_or(80) == self.bound.port()
    }
}

/// Why the server cannot listen, and what to do.
fn refusal(host: &str, port: u16, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {port} is in use, perhaps by another cnn-gpu serve: choose another with --port, or \
             a free one with --port 0"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("--host {host}: expected an address or a name of this machine ({error})")
        }
        ErrorKind::PermissionDenied => {
            format!("port {port} needs more rights: choose one above 1023 with --port ({error})")
        }
        _ => format!("cannot listen on port {port} of {host}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, bound: &str) -> PageAddress {
        PageAddress {
            bound: bound.parse().unwrap(),
            host: host.into(),
        }
    }

    #[test]
    fn only_own_names_are_answered() {
        let own = address(LOOPBACK, "127.0.0.1:81");
        for name in ["localhost:81", "LOCALHOST:81", "127.0.0.1:81", "[::1]:81"] {
            assert!(own.is_called(name), "{name}");
        }
        let others = [
            "localhost",
            "localhost:82",
            "evil.example:81",
            "192.168.0.7:81",
            "me@localhost:81",
            "",
            ":81",
            "localhost:81/x",
            "localhost.evil.example:81",
            "127.0.0.1.evil.example:81",
        ];
        for name in others {
            assert!(!own.is_called(name), "{name}");
        }
        // Port 80 is not named.
        assert!(address(LOOPBACK, "127.0.0.1:80").is_called("localhost"));
    }

    #[test]
    fn a_server_for_the_network_is_called_by_address_or_by_its_given_name() {
        let open = address("0.0.0.0", "0.0.0.0:81");
        assert!(open.is_called("192.168.0.7:81") && open.is_called("[fe80::1]:81"));
        assert!(!open.is_called("evil.example:81"));
        assert_eq!(open.url(), "http://127.0.0.1:81/");
        let named = address("Box.local", "192.168.0.7:81");
        assert!(named.is_called("box.local:81") && !named.is_called("192.168.0.8:81"));
        assert!(named.warning().is_some() && address(LOOPBACK, "[::1]:1").warning().is_none());
        assert_eq!(address("::", "[::]:81").url(), "http://[::1]:81/");
    }

    #[test]
    fn a_host_that_is_not_this_machine_is_refused() {
        let refused = |host: &str| PageAddress::listen(host, 0).err().unwrap().to_string();
        // An address for documentation (RFC 5737).
        assert!(refused("192.0.2.1").contains("--host 192.0.2.1: expected"));
        assert!(refused("").contains("--host : expected"));
        assert!(refused("a b").contains("--host a b: expected"));
    }
}
